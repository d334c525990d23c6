"""Several processes as one run: how they meet, through JAX's own distributed runtime."""

import os
import socket
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

MEETING_TIMEOUT = 300
_SPARE_SECONDS = 60
_TASK_COUNTS = (
    "SLURM_NTASKS",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MPI_LOCALNRANKS",
    "WORLD_SIZE",
    "FLUX_JOB_SIZE",
)
"""How launchers tell a task how many there are: SLURM, Open MPI, MPICH and Intel MPI, torchrun, Flux."""
_TOO_LATE = "must be called before any JAX calls"


class Place(NamedTuple):
    """Which process this is, of how many; `coordinator` is HOST:PORT, where process 0 listens."""

    coordinator: str
    num_processes: int
    process_id: int


def join_processes(
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    meeting_timeout: int = MEETING_TIMEOUT,
) -> None:
    """Meet the run's other processes, if there are any; to be called before anything touches a device.

    With nothing given JAX asks the cluster: a TPU pod, SLURM, Open MPI, a Kubernetes job. Without a cluster,
    with `num_processes=1` alone, or called from a program that has used its devices, this process is the
    whole run. `coordinator` may stand in the environment
    as JAX_COORDINATOR_ADDRESS. If the others do not come in time, this process prints one line and ends with
    status 2.

    Raises:
        ValueError: only some of the three are given, or one is impossible.
        OSError: the coordinator's port is taken, or the cluster does not answer.
    """
    if (coordinator, num_processes, process_id) == (None, 1, None):
        return
    given = (num_processes, process_id) != (None, None) or coordinator is not None
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    place = _check(coordinator, num_processes, process_id) if given else None
    with _time_limit(meeting_timeout, coordinator), _report_runtime_errors():
        if place is None:
            _join_cluster(meeting_timeout)
        else:
            # What is given is meant: a cluster around it has no say.
            jax.distributed.initialize(
                *place,
                cluster_detection_method="deactivate",
                initialization_timeout=meeting_timeout + _SPARE_SECONDS,
            )


def count_processes_here() -> tuple[int, int]:
    """How many of the run's processes are on this host, and how many of those use the same cores.

    To be called by all. A scheduler may bind each process to cores of its own, or leave all cores to all.
    """
    if jax.process_count() == 1:
        return 1, 1
    host = socket.gethostname()
    cores = f"{host} {sorted(os.sched_getaffinity(0))}"
    own = np.array([zlib.crc32(name.encode()) for name in (host, cores)], np.uint32)
    on_host, sharing_cores = (multihost_utils.process_allgather(own) == own).sum(axis=0).tolist()
    return on_host, sharing_cores


def alone_among_tasks() -> str:
    """A hint for an error message, where a launcher started several tasks and this process knows no other.

    Empty where the environment speaks of one task, or where the processes have met.
    """
    if jax.distributed.is_initialized():
        return ""
    for name in _TASK_COUNTS:
        tasks = os.environ.get(name, "")
        if tasks.isdecimal() and int(tasks) > 1:
            return (
                f"; {name}={tasks}: a launcher started {tasks} tasks with the arguments of one process; for "
                "one run of all give each its place, --coordinator HOST:PORT --num_processes N --process_id "
                "I; for a run in one process start one task, with --num_processes 1"
            )
    return ""


def raise_together(error: Exception | None) -> None:
    """Raise process 0's error on every process, so that none waits for one that has gone; called by all."""
    if bool(multihost_utils.broadcast_one_to_all(error is not None)):
        raise error or ValueError("process 0 cannot go on and says why")


def decide_together(decide: Callable[[], bool]) -> bool:
    """What process 0 decides, on every process: another one's disk may be behind; called by all.

    Raises:
        ValueError: as `decide` raises it, or OSError, on process 0; on every process.
    """
    decision, error = False, None
    if jax.process_index() == 0:
        try:
            decision = decide()
        except (ValueError, OSError) as found:
            error = found
    raise_together(error)
    return bool(multihost_utils.broadcast_one_to_all(decision))


def _check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Place:
    if coordinator is None or num_processes is None or process_id is None:
        given = {"--coordinator": coordinator, "--num_processes": num_processes, "--process_id": process_id}
        missing = " and ".join(flag for flag, value in given.items() if value is None)
        raise ValueError(
            f"--coordinator, --num_processes and --process_id go together: got no {missing}; "
            "leave all out to let JAX ask the cluster, or give --num_processes 1 alone for one process"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"--coordinator: got {coordinator!r}, expected HOST:PORT, where process 0 listens")
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f"--process_id: got {process_id}, expected 0 to {num_processes - 1} "
            f"of --num_processes={num_processes}"
        )
    if process_id == 0:
        _require_free(int(port))
    return Place(coordinator, num_processes, process_id)


def _require_free(port: int) -> None:
    """Raise OSError if something listens on the port: JAX would crash."""
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise OSError(
            f"--coordinator: port {port} cannot be listened on: {error.strerror}; if several tasks were "
            "started with the same arguments, give each its own --process_id, or start one, with "
            "--num_processes 1"
        ) from error


def _join_cluster(meeting_timeout: int) -> None:
    with warnings.catch_warnings():
        # Of the `kubernetes` package, in any pod: a run that is one process there misses nothing.
        warnings.filterwarnings("ignore", message=r"\s*Kubernetes environment detected")
        try:
            jax.distributed.initialize(initialization_timeout=meeting_timeout + _SPARE_SECONDS)
        except ValueError as error:
            # JAX has no other way to say that it found no cluster.
            if "coordinator_address" not in str(error):
                raise ValueError(
                    f"JAX_COORDINATOR_ADDRESS is set, but JAX finds no cluster ({error}); "
                    "give --num_processes and --process_id, or --num_processes 1 for one process alone"
                ) from error
        except RuntimeError as error:
            if _TOO_LATE not in str(error):
                raise


@contextmanager
def _time_limit(seconds: int, coordinator: str | None) -> Iterator[None]:
    """End the process with one line after `seconds`.

    JAX's own time limit aborts with a stack trace of C++, which no `except` sees; ours comes before it.
    """

    def give_up() -> None:
        at = f" at {coordinator}" if coordinator else ""
        print(
            f"error: the run's processes did not meet{at} within {seconds} s; "
            "start all of them, and check that the address and port of process 0 can be reached; "
            "for a run in this process alone: --num_processes 1",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _report_runtime_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise OSError(
            f"joining the run's other processes: {error}; for a run in this process alone: --num_processes 1"
        ) from error

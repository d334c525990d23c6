"""Connecting several processes to one run through JAX's distributed runtime."""

import os
import socket
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from lctr_jax.distributed.place import MEETING_TIMEOUT, check_place

_SPARE_SECONDS = 60
_TASK_COUNTS = (
    "SLURM_NTASKS",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MPI_LOCALNRANKS",
    "WORLD_SIZE",
    "FLUX_JOB_SIZE",
)
"""Environment variables with the number of tasks: SLURM, Open MPI, MPICH and Intel MPI, torchrun, Flux."""
_TOO_LATE = "must be called before any JAX calls"


def join_processes(
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    meeting_timeout: int = MEETING_TIMEOUT,
) -> None:
    """Connect to the run's other processes, if any. Call this before anything uses a device.

    Without arguments JAX asks the cluster: a TPU pod, SLURM, Open MPI or a Kubernetes job. Without a cluster,
    with `num_processes=1` alone, or in a program that has already used its devices, this process is the whole
    run. If the other processes do not connect in time, this process prints one line and exits with status 2.

    Args:
        coordinator: HOST:PORT of process 0; by default the environment variable JAX_COORDINATOR_ADDRESS.
        num_processes: number of processes of the run.
        process_id: index of this process.
        meeting_timeout: seconds to wait for the other processes.

    Raises:
        ValueError: only some of the three are given, or one is invalid.
        OSError: the coordinator's port is in use, or the cluster does not respond.
    """
    if (coordinator, num_processes, process_id) == (None, 1, None):
        return
    given = (num_processes, process_id) != (None, None) or coordinator is not None
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    place = check_place(coordinator, num_processes, process_id) if given else None
    with _time_limit(meeting_timeout, coordinator), _report_runtime_errors():
        if place is None:
            _join_cluster(meeting_timeout)
        else:
            # Explicit arguments take precedence over a cluster.
            jax.distributed.initialize(
                *place,
                cluster_detection_method="deactivate",
                initialization_timeout=meeting_timeout + _SPARE_SECONDS,
            )


def count_processes_here() -> tuple[int, int]:
    """Return the number of the run's processes on this host, and of those that use the same cores.

    A collective call. A scheduler may bind each process to its own cores or let all processes use all cores.
    """
    if jax.process_count() == 1:
        return 1, 1
    host = socket.gethostname()
    cores = f"{host} {sorted(os.sched_getaffinity(0))}"
    own = np.array([zlib.crc32(name.encode()) for name in (host, cores)], np.uint32)
    on_host, sharing_cores = (multihost_utils.process_allgather(own) == own).sum(axis=0).tolist()
    return on_host, sharing_cores


def alone_among_tasks() -> str:
    """Return a hint for error messages if a launcher started several tasks but this process is not connected.

    Empty if the environment shows a single task, or if the processes are connected.
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
    """Raise process 0's error on every process, so that none waits for one that has exited; collective."""
    if bool(multihost_utils.broadcast_one_to_all(error is not None)):
        raise error or ValueError("process 0 reported an error")


def decide_together(decide: Callable[[], bool]) -> bool:
    """Return process 0's decision on every process, as other hosts' disks may lag behind; collective.

    Raises:
        ValueError: `decide` raises it, or OSError, on process 0; raised on every process.
    """
    decision, error = False, None
    if jax.process_index() == 0:
        try:
            decision = decide()
        except (ValueError, OSError) as found:
            error = found
    raise_together(error)
    return bool(multihost_utils.broadcast_one_to_all(decision))


def _join_cluster(meeting_timeout: int) -> None:
    with warnings.catch_warnings():
        # Raised with the `kubernetes` package in any pod; irrelevant for a run of one process.
        warnings.filterwarnings("ignore", message=r"\s*Kubernetes environment detected")
        try:
            jax.distributed.initialize(initialization_timeout=meeting_timeout + _SPARE_SECONDS)
        except ValueError as error:
            # The only sign that JAX found no cluster.
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

    JAX's own timeout aborts with a C++ stack trace that cannot be caught; this one fires earlier.
    """

    def give_up() -> None:
        at = f" at {coordinator}" if coordinator else ""
        print(
            f"error: the run's processes did not connect{at} within {seconds} s; "
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

"""A process's place in the run, from its command line. No JAX here, so that a command line starts at once."""

import socket
from typing import NamedTuple

MEETING_TIMEOUT = 300
"""Seconds that processes wait for each other."""


class Place(NamedTuple):
    """A process's place in the run: `coordinator` is HOST:PORT, on which process 0 listens."""

    coordinator: str
    num_processes: int
    process_id: int


def check_place(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Place:
    """Return the place that the options give.

    Raises:
        ValueError: an option is missing or invalid.
        OSError: this is process 0 and the coordinator's port is in use.
    """
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
    """Raise OSError if the port is in use, in which case JAX would crash."""
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise OSError(
            f"--coordinator: port {port} cannot be listened on: {error.strerror}; if several tasks were "
            "started with the same arguments, give each its own --process_id, or start one, with "
            "--num_processes 1"
        ) from error

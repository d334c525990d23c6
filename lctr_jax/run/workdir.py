"""A run's folder: made, writable, and one run's at a time."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def claim(workdir: Path, *, active: bool) -> Iterator[None]:
    """Make the folder and hold it; only the host with `active` does. The lock goes with the process.

    Raises:
        ValueError: another run holds it, or it is no folder.
        OSError: it cannot be made or written to.
    """
    if not active:
        yield
        return
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir: {workdir} is a file, expected a folder or a new name")
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ValueError(
                f"--workdir: {workdir} is in use by {lock.read().strip() or 'another process'}; "
                "wait for it, stop it, or choose another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield

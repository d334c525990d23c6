"""File locks by `flock`, with a fallback for file systems without locks."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# NFS without lockd; FUSE and parallel file systems mounted without locks; 9p; some overlay file systems.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

LOCK = ".lock"
"""File in a folder of `locked_folder`."""

_log = logging.getLogger(__name__)
_warned: set[Path] = set()


@contextmanager
def locked_folder(folder: Path, *, problem: str, remedy: str, risk: str) -> Iterator[bool]:
    """Make a folder that several processes of a host fill, and let one of them in at a time.

    Args:
        folder: the folder.
        problem: what to say if it cannot be written to; the reason follows.
        remedy: what to do then.
        risk: as in `lock_exclusively`.

    Yields:
        Whether it is locked; not on file systems without locks.

    Raises:
        OSError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise OSError(f"{problem} ({error.strerror}); {remedy}") from error
    with lock:
        yield lock_exclusively(lock, wait=True, risk=risk)


def lock_exclusively(file: IO[Any], *, wait: bool, risk: str) -> bool:
    """Lock an open file until it is closed; warn once and continue if the file system has no locks.

    Args:
        file: an open file with a name.
        wait: whether to wait for another process that holds the lock.
        risk: what the user has to avoid without locks, for the warning.

    Returns:
        Whether the file is locked.

    Raises:
        BlockingIOError: another process holds the lock and `wait` is false.
        OSError: locking fails for another reason than a file system without locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if isinstance(error, BlockingIOError) or error.errno not in _UNSUPPORTED:
            raise
        folder = Path(file.name).parent
        if folder not in _warned:
            _warned.add(folder)
            _log.warning("%s: this file system has no locks (%s); %s", folder, error.strerror, risk)
        return False
    return True

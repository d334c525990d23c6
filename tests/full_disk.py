"""A full disk, as far as a process can have it to itself."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

PAGE = 4096


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

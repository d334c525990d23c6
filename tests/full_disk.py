"""Simulate a full disk for a process."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

PAGE = 4096


@contextmanager
def full_disk() -> Iterator[None]:
    """Limit every file to one page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

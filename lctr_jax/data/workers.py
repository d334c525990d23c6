"""How a data worker process lives and dies: by its parent, not by the signals that are meant for it."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)
_GRACE = 30.0  # seconds that a worker serves on after SIGTERM, while its parent comes to a step to save


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Processes and threads that start inside inherit a block of the signals that `begin` answers.

    A new process would otherwise die of a signal that comes before it has set its handlers. This thread gets
    its own signals when the block ends.
    """
    resource_tracker.ensure_running()  # Python starts it with the first process, and would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(index: int, count: int) -> None:
    """What every worker process does first.

    A terminal and many schedulers signal all processes of a job, but the training process is to decide when
    to stop, and needs its batches until then. A killed one cannot end its workers, so they watch it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_later(number: int, frame: FrameType | None) -> None:
    timer = threading.Timer(_GRACE, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

"""How a data worker process lives and dies: by its parent, not by the signals that are meant for it."""

import multiprocessing
import os
import signal
import threading
from types import FrameType

_GRACE = 30.0  # seconds that a worker serves on after SIGTERM, while its parent comes to a step to save


def begin(index: int, count: int) -> None:
    """What every worker process does first.

    A terminal and many schedulers signal all processes of a job, but the training process is to decide when
    to stop, and needs its batches until then. A killed one cannot end its workers, so they watch it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
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

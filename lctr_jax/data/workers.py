"""How a data worker process lives and dies: by its parent, not by the signals that are meant for it."""

import contextlib
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType

from lctr_jax.host import resources

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


def tell_loss(error: Exception) -> None:
    """Raise what a lost worker process means to the user, if that is what grain's error says.

    Raises:
        ChildProcessError: with the likely cause and the remedy.
    """
    lost = re.search(r"terminated unexpectedly with exit code (-?\d+)", str(error))
    if lost is None:
        return
    cause = _CAUSES.get(int(lost[1]))
    if cause is None:
        cause = "the same command goes on from the newest checkpoint"
    free = resources.free_shared_memory() / 1e6
    raise ChildProcessError(
        f"data.num_workers: a worker process was lost with exit code {lost[1]}: {cause.format(free=free)}"
    ) from error


_CAUSES = {
    -signal.SIGBUS: "shared memory (/dev/shm, {free:,.0f} MB free now) has run out, and would again; "
    "enlarge it (docker run --shm-size=.. or --ipc=host), or set a smaller data.num_workers, 0 for threads",
    -signal.SIGKILL: "killed, which is what the system does where memory runs out: if nobody else did it, "
    "set a smaller data.num_workers; the same command goes on from the newest checkpoint",
}
"""By exit code, which is the negative number of the signal that ended the process."""


def _end_later(number: int, frame: FrameType | None) -> None:
    timer = threading.Timer(_GRACE, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

"""Signals, lifetime and shared memory of data worker processes."""

import atexit
import contextlib
import functools
import gc
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType

from grain.multiprocessing import SharedMemoryArray

from lctr_jax.host import resources

_HELD = (signal.SIGINT, signal.SIGTERM)
_GRACE = 30.0  # seconds that a worker continues after SIGTERM, while its parent finishes the step and saves


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Block signals that new worker processes handle in `begin`.

    Otherwise a process could be ended by a signal before it has set its handlers. The block is inherited by
    processes and threads started inside; this thread receives its pending signals when the block ends.
    """
    resource_tracker.ensure_running()  # otherwise the first process would start it and unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def free_shared_memory_at_exit() -> None:
    """Let this process free the last batches before it exits.

    Grain frees them in a thread, which the end of the process would stop; Python then reports "leaked
    shared_memory objects" on the terminal.
    """
    atexit.register(_finish_deletions)


def _finish_deletions() -> None:
    gc.collect()
    if SharedMemoryArray._del_thread_pool is not None:
        SharedMemoryArray._del_thread_pool.apply(int)  # waits, since the pool's only thread works in order


def begin(index: int, count: int) -> None:
    """Initialize a worker process.

    A terminal and many schedulers send signals to all processes of a job. The training process decides when
    to stop and needs batches until then, so workers ignore SIGINT and delay SIGTERM. They also watch their
    parent, because a killed parent cannot stop them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def tell_loss(error: Exception) -> None:
    """Raise an explanation if Grain's error says that a worker process was lost.

    Raises:
        ChildProcessError: with the likely cause and the remedy.
    """
    lost = re.search(r"terminated unexpectedly with exit code (-?\d+)", str(error))
    if lost is None:
        return
    cause = _CAUSES.get(int(lost[1]))
    if cause is None:
        cause = "repeat the command to continue from the newest checkpoint"
    free = resources.free_shared_memory() / 1e6
    raise ChildProcessError(
        f"data.num_workers: a worker process was lost with exit code {lost[1]}: {cause.format(free=free)}"
    ) from error


_CAUSES = {
    -signal.SIGBUS: "shared memory (/dev/shm, {free:,.0f} MB free now) ran out and would run out again; "
    "enlarge it (docker run --shm-size=.. or --ipc=host), or set a smaller data.num_workers, 0 for threads",
    -signal.SIGKILL: "killed, probably by the system because memory ran out; set a smaller data.num_workers "
    "and repeat the command to continue from the newest checkpoint",
}
"""By exit code, the negative number of the signal that ended the process."""


def _end_later(number: int, frame: FrameType | None) -> None:
    timer = threading.Timer(_GRACE, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

"""A run's folder: made, writable, one run's at a time, and gone again if the run never started."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lctr_jax.distributed.processes import alone_among_tasks
from lctr_jax.host.file_locks import lock_exclusively

_LOCK = ".lock"
_WITHOUT_LOCKS = "let no second run use this folder at the same time"
_STARTED_WITH = {_LOCK, "config.json", "metrics.jsonl", "tensorboard", "checkpoints"}
"""What a run makes before its first step."""


@contextmanager
def lock_workdir(workdir: Path, *, active: bool) -> Iterator[None]:
    """Make the folder and hold it; only the host with `active` does. The lock goes with the process.

    A folder that was made here and holds no result when an error ends the run is removed again.

    Raises:
        ValueError: another run holds it, or it is no folder.
        OSError: it cannot be made or written to.
    """
    if not active:
        yield
        return
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir: {workdir} is a file, expected a folder or a new name")
    made = [folder for folder in (workdir, *workdir.absolute().parents) if not folder.exists()]
    held = False
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with (workdir / _LOCK).open("a+") as lock:
            try:
                lock_exclusively(lock, wait=False, risk=_WITHOUT_LOCKS)
            except BlockingIOError:
                lock.seek(0)
                raise ValueError(
                    f"--workdir: {workdir} is in use by {lock.read().strip() or 'another process'}; "
                    f"wait for it, stop it, or choose another folder{alone_among_tasks()}"
                ) from None
            held = True
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            yield
    except BaseException:
        if made and (held or not (workdir / _LOCK).exists()):
            _remove_failed_start(workdir, made)
        raise


def _remove_failed_start(workdir: Path, made: list[Path]) -> None:
    """Remove what a run without any step, checkpoint or result has left, and the folders made for it."""
    with suppress(OSError):
        if workdir in made and _holds_nothing(workdir):
            shutil.rmtree(workdir)
        for folder in made:
            if folder.exists():
                folder.rmdir()  # fails where something else is in it by now


def _holds_nothing(workdir: Path) -> bool:
    if not workdir.is_dir():
        return True
    names = {path.name for path in workdir.iterdir()}
    metrics, checkpoints = workdir / "metrics.jsonl", workdir / "checkpoints"
    started = metrics.exists() and metrics.stat().st_size > 0
    saved = checkpoints.exists() and any(path.name.isdecimal() for path in checkpoints.iterdir())
    return names <= _STARTED_WITH and not started and not saved

"""The workdir of a run: created, locked, and removed again if the run fails before it starts."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lctr_jax.distributed.processes import alone_among_tasks
from lctr_jax.host.file_locks import lock_exclusively

_LOCK = ".lock"
_WITHOUT_LOCKS = "do not let a second run use this folder at the same time"
_STARTED_WITH = {_LOCK, "config.json", "metrics.jsonl", "tensorboard", "checkpoints"}
"""What a run creates before its first step."""


@contextmanager
def lock_workdir(workdir: Path, *, active: bool) -> Iterator[None]:
    """Create and lock the folder, on the host with `active`. The lock ends with the process.

    A folder that was created here and has no results is removed if an error ends the run.

    Raises:
        ValueError: another run uses it, or it is not a folder.
        OSError: it cannot be created or is not writable.
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
    """Remove the files of a run without any step, checkpoint or result, and the folders created for it."""
    with suppress(OSError):
        if workdir in made and _holds_nothing(workdir):
            shutil.rmtree(workdir)
        for folder in made:
            if folder.exists():
                folder.rmdir()  # fails if it is not empty


def _holds_nothing(workdir: Path) -> bool:
    if not workdir.is_dir():
        return True
    names = {path.name for path in workdir.iterdir()}
    metrics, checkpoints = workdir / "metrics.jsonl", workdir / "checkpoints"
    started = metrics.exists() and metrics.stat().st_size > 0
    saved = checkpoints.exists() and any(path.name.isdecimal() for path in checkpoints.iterdir())
    return names <= _STARTED_WITH and not started and not saved

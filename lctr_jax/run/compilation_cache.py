"""JAX's persistent compilation cache for runs: a run that starts again does not compile again."""

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import jax
import jaxlib

MAX_BYTES = 2 * 2**30
"""Size of the cache; the least recently used programs are removed first."""

MIN_SECONDS = 0.3
"""What compiles faster is not stored."""

_LOCK_SECONDS = 10


def enable_compilation_cache(say: Callable[[str], None]) -> None:
    """Keep compiled programs in the user's cache folder and say so in one line.

    A folder that the user chose (JAX_COMPILATION_CACHE_DIR), or the choice to have none
    (JAX_ENABLE_COMPILATION_CACHE=0), is left alone. A cache that cannot be used never ends a run.
    """
    options: Any = jax.config
    if not options.jax_enable_compilation_cache:
        say("compiled programs are not kept: JAX_ENABLE_COMPILATION_CACHE is off")
        return
    if options.jax_compilation_cache_dir:
        say(f"compiled programs are kept in {options.jax_compilation_cache_dir}")
        return
    try:
        folder = _private_folder()
        _remove_incomplete(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        say(f"compiled programs are not kept, so every start compiles again: {error}")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_SECONDS)
    say(f"compiled programs are kept in {folder} (off: JAX_ENABLE_COMPILATION_CACHE=0)")


def cache_folder() -> Path:
    """Return the folder for this kind of processor and version of jaxlib.

    A home folder may be shared by machines, and a program for another processor may use instructions that
    this one lacks.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    kind = hashlib.sha256(f"{jaxlib.__version__} {_processor()}".encode()).hexdigest()[:12]
    return Path(home, "lctr_jax", f"programs-{kind}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = {line for line in lines if line.partition("\t")[0] in ("flags", "Features", "model name")}
    return " ".join([platform.machine(), *sorted(features)])


def _private_folder() -> Path:
    """Make the folder; only its owner may write to it, since its contents are executed.

    Raises:
        OSError: it cannot be made or written to, or others can write to it.
        RuntimeError: the user's home folder is unknown.
    """
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{folder}: others can write to it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{folder}: cannot be written to")
    return folder


def _remove_incomplete(folder: Path) -> None:
    """Remove incompletely written programs: JAX warns of them at every start and does not replace them.

    JAX writes a program and then its time of use, holding the lock.

    Raises:
        OSError: a file cannot be removed, or another process holds the lock for too long.
    """
    with filelock.FileLock(folder / ".lockfile", timeout=_LOCK_SECONDS):
        for program in folder.glob("*-cache"):
            used = program.with_name(program.name.removesuffix("-cache") + "-atime")
            if not used.is_file() or used.stat().st_size == 0:
                program.unlink()

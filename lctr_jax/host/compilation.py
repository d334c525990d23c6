"""Compile functions with Numba at their first call, cached on disk if a folder is writable.

Numba looks for a cache folder when a function is decorated, next to the source and then in the user's home,
and raises if neither is writable. Importing this package would then fail, e.g. in a container with a random
user id.
"""

import functools
import logging
import os
import pickle
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_CACHE_FAULTS = (OSError, EOFError, pickle.UnpicklingError)
"""A full disk, a removed folder, or a damaged or outdated cache file."""

_log = logging.getLogger(__name__)
_lock = threading.RLock()


class Compiled:
    """A function that is compiled by `compiler(cache=True)` at its first call.

    `compiler` is a partial of `numba.njit` or `numba.vectorize`; it is called with `cache` and then with the
    function.
    """

    def __init__(self, function: Callable[..., Any], compiler: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self._compiler = compiler
        self._compiled: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function; the first call compiles it."""
        if self._compiled is None:
            with _lock:  # Numba warns if several threads make the first call
                return self._call_first(*arguments)
        return self._compiled(*arguments)

    def _call_first(self, *arguments: Any) -> Any:
        function = self.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
        try:
            compiled = compile_cached(function, self._compiler)
            result = compiled(*arguments)
        except _CACHE_FAULTS as error:
            _say_uncached(str(error))
            compiled = self._compiler(cache=False)(function)
            result = compiled(*arguments)
        self._compiled = compiled
        return result


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Compiled]:
    """Decorate a function to be compiled by `numba.njit` with these options."""
    return lambda function: Compiled(function, functools.partial(numba.njit, **options))


def vectorized(*signatures: str) -> Callable[[Callable[..., Any]], Compiled]:
    """Decorate a function to be compiled by `numba.vectorize` for these signatures."""
    return lambda function: Compiled(function, functools.partial(numba.vectorize, list(signatures)))


def compile_cached(function: Callable[..., Any], compiler: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with Numba's cache, with a cache in the temporary folder, or without any."""
    try:
        return compiler(cache=True)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    try:
        numba.config.CACHE_DIR = str(_temporary_cache())  # pyright: ignore[reportAttributeAccessIssue]
        return compiler(cache=True)(function)
    except (RuntimeError, OSError) as error:
        _say_uncached(str(error))
        return compiler(cache=False)(function)


def _temporary_cache() -> Path:
    """Return a cache folder that only this user can write to, because its files are executed.

    Raises:
        OSError: it cannot be created, or others can write to it.
    """
    folder = Path(tempfile.gettempdir(), f"lctr_jax-numba-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder}: owned or writable by another user")
    return folder


@functools.cache
def _say_uncached(reason: str) -> None:
    _log.warning(
        "compiled code cannot be cached (%s), so every start takes a few seconds longer; to avoid this, "
        "name a writable folder: NUMBA_CACHE_DIR=DIR",
        reason,
    )

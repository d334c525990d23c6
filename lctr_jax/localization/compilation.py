"""Compile functions with Numba at their first call, cached on disk where a folder can be written.

Numba looks for its cache as soon as a function is decorated, beside the source and then in the user's home,
and raises where it finds neither: in a container with a random user id importing this package would fail.
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
"""A full disk, a folder that is gone, a damaged file of an earlier version."""

_log = logging.getLogger(__name__)
_lock = threading.RLock()


class Compiled:
    """A function that `compiler(cache=True)` compiles when it is first called.

    `compiler` is a partial of `numba.njit` or `numba.vectorize`, to be given `cache` and then the function.
    """

    def __init__(self, function: Callable[..., Any], compiler: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self._compiler = compiler
        self._compiled: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function, compiling it first if that has not been done."""
        if self._compiled is None:
            with _lock:  # Numba warns where several threads make the first call
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
    """Compile with Numba's cache, with one in the temporary folder, or without any."""
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
    """A folder that only this user can write to, for what is in it gets executed.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir(), f"lctr_jax-numba-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder}: belongs to somebody else, or others can write to it")
    return folder


@functools.cache
def _say_uncached(reason: str) -> None:
    _log.warning(
        "compiled code cannot be kept (%s), so every start compiles again, for some seconds; name a folder "
        "that can be written to: NUMBA_CACHE_DIR=DIR",
        reason,
    )

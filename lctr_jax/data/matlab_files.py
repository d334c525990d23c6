"""Read MATLAB's .mat files."""

import io
import struct
import zlib
from typing import Any

from lctr_jax.data.box_entry import shorten


def read_mat(encoded: bytes, name: str, *variables: str) -> list[list[Any]]:
    """Return variables of a .mat file, cells and arrays of structs, as lists; a struct is a dict.

    Args:
        encoded: the file.
        name: its name, for messages.
        *variables: names of the variables.

    Raises:
        ValueError: it is damaged, of version 7.3, or lacks a variable.
    """
    import scipy.io  # only here: the import takes a while, and no other file needs it

    damage = (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        NotImplementedError,
        OSError,
        EOFError,
        MemoryError,
    )
    try:
        read = scipy.io.loadmat(io.BytesIO(encoded), simplify_cells=True)
    except (*damage, struct.error, zlib.error, scipy.io.matlab.MatReadError) as error:
        raise ValueError(f"{name}: expected an undamaged .mat file: {shorten(str(error))}") from error
    if missing := [variable for variable in variables if variable not in read]:
        raise ValueError(f"{name}: expected the variable {missing[0]}, got {', '.join(map(str, read))}")
    return [_as_list(read[variable]) for variable in variables]


def _as_list(value: Any) -> list[Any]:
    """Return a sequence as a list; one of a single element was read as that element."""
    if isinstance(value, str | dict) or not hasattr(value, "__len__"):
        return [value]
    return list(value)

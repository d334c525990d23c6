""".safetensors files: a JSON header followed by raw numbers."""

from pathlib import Path
from typing import Any

import ml_dtypes  # teaches NumPy the bfloat16 that the files may hold
import numpy as np
import safetensors

from lctr_jax.json_objects import parse_object

FLOATING = ("F16", "BF16", "F32", "F64")
_HEADER_STARTS = 8  # follows the header's length


def is_safetensors(path: Path) -> bool:
    """Return whether a file is in this format, by its first bytes."""
    with path.open("rb") as file:
        return file.read(_HEADER_STARTS + 1)[_HEADER_STARTS:] == b"{"


def read_safetensors(
    path: Path, *, ours: str
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None, list[str]]:
    """Read the tensors in float32, the JSON object stored under `ours`, and the names of ignored counters.

    Memory is bounded by the file's size, because the library compares each declared shape with the bytes
    present.

    Raises:
        ValueError: the file has another format, is damaged, or contains data types other than `FLOATING`.
    """
    tensors, counters = {}, []
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            notes = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118, the file is not a dict
                kind = file.get_slice(name).get_dtype()
                if kind in FLOATING:
                    tensors[name] = _to_float32(file.get_tensor(name))
                elif _is_counter(file.get_slice(name), kind):
                    counters.append(name)
                else:
                    raise ValueError(f"not floating point: {name} ({kind}); expected {', '.join(FLOATING)}")
    except (
        safetensors.SafetensorError,
        TypeError,
        ValueError,
        OverflowError,
        KeyError,
        AttributeError,
    ) as error:
        raise ValueError(f"{path}: not a .safetensors file that can be read: {error}") from error
    metadata = parse_object(notes[ours], where=f"{path}: its note {ours!r}") if ours in notes else None
    return tensors, metadata, counters


def _is_counter(declared: Any, kind: str) -> bool:
    """Return whether a tensor is a single integer, such as BatchNorm's number of batches."""
    return kind[0] in "IU" and not declared.get_shape()


def _to_float32(array: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(array.dtype, np.floating) or array.dtype == ml_dtypes.bfloat16
    return array.astype(np.float32) if floating else array

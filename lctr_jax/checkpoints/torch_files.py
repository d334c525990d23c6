"""PyTorch's files: names and float32 arrays in, names and float32 arrays out. Nothing in them is executed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from lctr_jax.checkpoints.pickles import load_plain
from lctr_jax.checkpoints.safetensors_files import is_safetensors, read_safetensors
from lctr_jax.checkpoints.wrappers import EMA_NESTS, unwrap

TORCH_SUFFIXES, SAFETENSORS_SUFFIX = (".pth", ".pt", ".ckpt", ".bin", ".tar"), ".safetensors"
OURS = "lctr_jax"  # the entry of a file that our own metadata is kept under

_PLAIN = "float16, bfloat16, float32 or float64"
_BASE_LIMIT, _GROWTH = 64 << 20, 8  # bytes in memory: this many, and this many times the file's


class TensorFile(NamedTuple):
    """A file's tensors by name, our metadata where we wrote it, and the entries that were left alone.

    `average`: the entry that holds a moving average of these weights, where there is one that was not asked
    for.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] | None = None
    ignored: tuple[str, ...] = ()
    average: str | None = None


def is_tensor_file(path: str | os.PathLike[str]) -> bool:
    """Tell by the suffix, in whatever case, of a file or of one that is missing."""
    return Path(path).suffix.lower() in (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX) and not Path(path).is_dir()


def read_tensors(path: str | os.PathLike[str], *, ema: bool = False) -> TensorFile:
    """Read a .safetensors file or one of torch.save (weights only, needs torch), told apart by their content.

    `ema`: take the moving average of the weights that the file holds beside them.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: torch is needed and not installed.
        ValueError: not such a file, damaged, one that would have to run code, with tensors that are not
        plain finite
            floating-point numbers, or without the moving average asked for.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    require_suffix(path)
    if path.suffix.lower() == SAFETENSORS_SUFFIX or is_safetensors(path):
        if ema:
            raise ValueError(f"{path}: --ema is for files of torch.save; this one holds one set of tensors")
        tensors, metadata, ignored = read_safetensors(path, ours=OURS)
        read = TensorFile(tensors, metadata, tuple(ignored))
    else:
        read = _read_torch(path, ema=ema)
    if not read.tensors:
        raise ValueError(f"{path}: holds no tensors; expected tensors by name")
    wrong = [name for name, array in read.tensors.items() if not np.isfinite(array).all()]
    if wrong:
        raise ValueError(f"{path}: got NaN or infinity in {', '.join(wrong)}")
    return read


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write a file as `read_tensors` takes, whole or not at all; a .pth nests the tensors under `model`.

    Raises:
        ModuleNotFoundError: torch is needed and not installed.
        ValueError: an unknown suffix.
    """
    path = Path(path)
    require_suffix(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        if path.suffix.lower() == SAFETENSORS_SUFFIX:
            notes = {"format": "pt", OURS: json.dumps(metadata)}
            safetensors.numpy.save_file(dict(tensors), unfinished, metadata=notes)
        else:
            torch = _import_torch(path)
            model = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
            torch.save({"model": model, OURS: dict(metadata)}, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def require_suffix(path: Path) -> None:
    """Refuse a file name of another format.

    Raises:
        ValueError: naming the suffixes that are known.
    """
    known = (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX)
    if path.suffix.lower() not in known:
        raise ValueError(f"{path}: got suffix {path.suffix!r}, expected one of {', '.join(known)}")


def _read_torch(path: Path, *, ema: bool) -> TensorFile:
    torch = _import_torch(path)
    try:
        content = load_plain(torch, path)
        found = unwrap(content, ema=ema)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found.content, Mapping):
        raise ValueError(f"{path}: got a {type(found.content).__name__}, expected tensors by name")
    tensors, ignored = {}, [str(name) for name in found.beside if name != OURS]
    for name, value in found.content.items():
        if not isinstance(value, torch.Tensor) or (not value.ndim and not value.is_floating_point()):
            ignored.append(str(name))  # options and counters beside the weights
        elif not isinstance(name, str):
            raise ValueError(f"{path}: got a tensor named {name!r}, expected names that are text")
        else:
            _require_plain(torch, value, where=f"{path}: {name}")
            tensors[name] = value
    _require_bounded(tensors, path)
    metadata = found.beside.get(OURS)
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"{path}: got a {type(metadata).__name__} as {OURS}, expected a dict")
    average = next((name for name in EMA_NESTS if name in found.beside), None)
    arrays = {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}
    return TensorFile(arrays, metadata, tuple(ignored), average)


def _require_plain(torch: Any, tensor: Any, *, where: str) -> None:
    """Refuse tensors whose values are not a block of floating-point numbers."""
    nested, sparse = tensor.is_nested, tensor.layout != torch.strided
    kinds = {
        "nested": nested,
        "sparse": sparse and not nested,
        "quantized": tensor.is_quantized,
        "meta (without values)": tensor.is_meta,
        str(tensor.dtype).removeprefix("torch."): not tensor.is_floating_point() or tensor.itemsize == 1,
    }
    if kind := next((kind for kind, holds in kinds.items() if holds), None):
        raise ValueError(
            f"{where}: got a tensor that is not plain floating point ({kind}); expected {_PLAIN}"
        )


def _require_bounded(tensors: Mapping[str, Any], path: Path) -> None:
    """Refuse, before anything is copied, views that are many times larger than the file."""
    declared, size = 4 * sum(tensor.numel() for tensor in tensors.values()), path.stat().st_size
    if declared > _BASE_LIMIT + _GROWTH * size:
        largest = max(tensors, key=lambda name: tensors[name].numel())
        raise ValueError(
            f"{path}: declares tensors of {declared:,} bytes, in a file of {size:,}; the largest is "
            f"{largest}, {list(tensors[largest].shape)}"
        )


def _import_torch(path: Path):
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: {path.suffix} files need torch: pip install -e '.[torch]' "
            f"(or use {SAFETENSORS_SUFFIX}, which does not)"
        ) from error
    return torch

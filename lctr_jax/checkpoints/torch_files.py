"""Reading and writing PyTorch files as float32 arrays by name. Nothing in a file is executed."""

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
OURS = "lctr_jax"  # entry of our metadata in a file

_PLAIN = "float16, bfloat16, float32 or float64"
_BASE_LIMIT, _GROWTH = 64 << 20, 8  # bound on memory: this many bytes, plus this many times the file's size


class TensorFile(NamedTuple):
    """The content of a PyTorch file.

    Attributes:
        tensors: arrays by name.
        metadata: our metadata, if the file contains it.
        ignored: names of ignored entries.
        average: entry of a moving average of these weights that exists but was not requested.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] | None = None
    ignored: tuple[str, ...] = ()
    average: str | None = None


def is_tensor_file(path: str | os.PathLike[str]) -> bool:
    """Return whether the suffix is that of a tensor file; the file need not exist."""
    return Path(path).suffix.lower() in (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX) and not Path(path).is_dir()


def read_tensors(path: str | os.PathLike[str], *, ema: bool = False) -> TensorFile:
    """Read a .safetensors file, or one from torch.save (weights only, needs torch), detected by content.

    Args:
        path: the file.
        ema: read the moving average of the weights stored with them.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: torch is needed and not installed.
        ValueError: the file has another format, is damaged, would have to run code, contains tensors that are
            not finite floating-point numbers, or lacks the requested moving average.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    require_suffix(path)
    if path.suffix.lower() == SAFETENSORS_SUFFIX or is_safetensors(path):
        if ema:
            raise ValueError(
                f"{path}: --ema is for files of torch.save; this file has a single set of tensors"
            )
        tensors, metadata, ignored = read_safetensors(path, ours=OURS)
        read = TensorFile(tensors, metadata, tuple(ignored))
    else:
        read = _read_torch(path, ema=ema)
    if not read.tensors:
        raise ValueError(f"{path}: contains no tensors; expected tensors by name")
    wrong = [name for name, array in read.tensors.items() if not np.isfinite(array).all()]
    if wrong:
        raise ValueError(f"{path}: got NaN or infinity in {', '.join(wrong)}")
    return read


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write a file that `read_tensors` can read, atomically; a .pth nests the tensors under `model`.

    Raises:
        ModuleNotFoundError: torch is needed and not installed.
        ValueError: the suffix is unknown.
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
    """Refuse a file name with an unknown suffix.

    Raises:
        ValueError: the suffix is unknown; the message lists the known ones.
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
            ignored.append(str(name))  # options and counters stored with the weights
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
    """Refuse tensors that are not dense blocks of floating-point numbers."""
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
    """Refuse views that are much larger than the file, before anything is copied."""
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

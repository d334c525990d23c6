"""PyTorch's files: names and float32 arrays in, names and float32 arrays out. Nothing in them is executed."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes  # teaches NumPy the bfloat16 that safetensors files may hold
import numpy as np
import safetensors
import safetensors.numpy

TORCH_SUFFIXES, SAFETENSORS_SUFFIX = (".pth", ".pt"), ".safetensors"
OURS = "lctr_jax"  # the entry of a file that our own metadata is kept under

_NESTS = ("model", "state_dict", "teacher")  # DINO keeps a student and its teacher, the better one
_PREFIXES = ("module.",)  # of DistributedDataParallel


class TensorFile(NamedTuple):
    """A file's tensors by name, our metadata where we wrote it, and the entries that were left alone."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] | None = None
    ignored: tuple[str, ...] = ()


def read_tensors(path: str | os.PathLike[str]) -> TensorFile:
    """Read a .pth or .pt file (weights only, needs torch) or a .safetensors file (does not).

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: torch is needed and not installed.
        ValueError: not such a file, damaged, one that would have to run code, or with tensors that are not
            finite floating-point numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    require_suffix(path)
    read = _read_safetensors(path) if path.suffix == SAFETENSORS_SUFFIX else _read_torch(path)
    if not read.tensors:
        raise ValueError(f"{path}: holds no tensors")
    wrong = [name for name, array in read.tensors.items() if array.dtype != np.float32]
    if wrong:
        raise ValueError(f"{path}: got tensors that are not floating point: {', '.join(wrong)}")
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
        if path.suffix == SAFETENSORS_SUFFIX:
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
    if path.suffix not in known:
        raise ValueError(f"{path}: got suffix {path.suffix!r}, expected one of {', '.join(known)}")


def _read_safetensors(path: Path) -> TensorFile:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            notes = file.metadata() or {}
            tensors = {name: _to_float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, TypeError) as error:
        raise ValueError(f"{path}: not a .safetensors file that can be read: {error}") from error
    metadata = json.loads(notes[OURS]) if OURS in notes else None
    return TensorFile(_without_prefix(tensors), metadata)


def _to_float32(array: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(array.dtype, np.floating) or array.dtype == ml_dtypes.bfloat16
    return array.astype(np.float32) if floating else array


def _read_torch(path: Path) -> TensorFile:
    torch = _import_torch(path)
    with _refusals_told(path), torch.serialization.safe_globals([argparse.Namespace]):
        # DeiT-style training scripts keep their options in a Namespace beside the weights; it is plain data.
        content = torch.load(path, map_location="cpu", weights_only=True)
    metadata, ignored = None, []
    while isinstance(content, Mapping) and (nests := [name for name in _NESTS if name in content]):
        metadata = content.get(OURS, metadata)
        ignored += [str(name) for name in content if name not in (nests[0], OURS)]
        content = content[nests[0]]
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: got a {type(content).__name__}, expected tensors by name")
    tensors = {}
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{path}: got a {type(value).__name__} at {name!r}, expected tensors by name")
        tensors[name] = (value.float() if value.is_floating_point() else value).detach().numpy()
    return TensorFile(_without_prefix(tensors), metadata, tuple(ignored))


def _import_torch(path: Path):
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: {path.suffix} files need torch: pip install -e '.[torch]' "
            f"(or use {SAFETENSORS_SUFFIX}, which does not)"
        ) from error
    return torch


@contextmanager
def _refusals_told(path: Path):
    try:
        yield
    except (
        Exception
    ) as error:  # torch raises whatever the bytes lead it to: KeyError, EOFError, RuntimeError..
        if needs := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(
                f"{path}: refused, as it would have to run {needs[1]} from the file; keep the tensors alone: "
                "where you trust the file, torch.save(torch.load(OLD, weights_only=False)['model'], NEW)"
            ) from error
        raise ValueError(f"{path}: not a PyTorch file, or a damaged one") from error


def _without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): array for name, array in tensors.items()}
    return tensors

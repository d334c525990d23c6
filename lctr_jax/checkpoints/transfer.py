"""Initialization of a network from other weights (`--config.init_from`)."""

import hashlib
import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from lctr_jax.checkpoints.conversion import convert
from lctr_jax.checkpoints.metadata import BACKBONE_FIELDS, HEAD_FIELDS, Metadata, differing_fields
from lctr_jax.checkpoints.parameter_paths import by_path, misfits
from lctr_jax.checkpoints.store import load_weights
from lctr_jax.checkpoints.torch_files import is_tensor_file, read_tensors
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.positions import resample_positions
from lctr_jax.models.spec import ModelSpec

_ADAPTED = ("image_size", "cls_position")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was read from a checkpoint: dotted names `read` and `fresh`, and notes."""

    source: str
    read: tuple[str, ...]
    fresh: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        counts = f"{len(self.read)} arrays read, {len(self.fresh)} newly initialized"
        return "; ".join((f"initialized from {self.source}: {counts}", *self.notes))


def initialize_from(
    path: str | os.PathLike[str], spec: ModelSpec, parameters: Parameters
) -> tuple[Parameters, Report]:
    """Replace parts of the freshly initialized `parameters` by those of the checkpoint at `path`.

    The backbone is always read, with its position embedding resampled to the grid of `spec`. The head is read
    if the checkpoint has the same method, experts and number of classes. If only one side has a position for
    CLS, it is added to the CLS token or set to zero, which is the same function.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no readable checkpoint, or its backbone has another shape.
    """
    metadata, stored = _load(path)
    require_backbone(metadata, spec, path=path)
    taken, notes = {**stored, "backbone": _adapt(stored["backbone"], metadata.spec, spec)}, []
    if metadata.spec.grid != spec.grid:
        notes.append(
            f"position embedding resampled from {_show(metadata.spec.grid)} to {_show(spec.grid)} patches"
        )
    if metadata.kind == "backbone":
        notes.append("head newly initialized: the checkpoint has none")
    elif different := differing_fields(metadata.spec, spec, HEAD_FIELDS):
        notes.append(f"head newly initialized: {'; '.join(different)}")
        taken = {"backbone": taken["backbone"]}
    started = {**parameters, **jax.tree.map(jnp.asarray, taken)}
    if wrong := misfits(started, parameters):
        raise ValueError(f"{path}: parameters do not match: {'; '.join(wrong)}")
    read = tuple(by_path(taken))
    fresh = tuple(name for name in by_path(parameters) if name not in read)
    return started, Report(source=str(path), read=read, fresh=fresh, notes=tuple(notes))


def require_backbone(metadata: Metadata, spec: ModelSpec, *, path: str | os.PathLike[str]) -> None:
    """Check that weights fit the backbone of `spec`, after resampling their position embedding.

    Raises:
        ValueError: they are of a backbone of another shape.
    """
    fixed = [name for name in BACKBONE_FIELDS if name not in _ADAPTED]
    if different := differing_fields(metadata.spec, spec, fixed):
        raise ValueError(f"{path}: backbone of another shape: {'; '.join(different)}")


def read_initial_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Read the metadata of what `initialize_from` reads, for whatever network.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no readable checkpoint.
    """
    return _load(path)[0]


def weights_digest(path: str | os.PathLike[str]) -> str:
    """Return SHA-256 of the names and values of a checkpoint's arrays, in hexadecimal.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no readable checkpoint.
    """
    digest = hashlib.sha256()
    for name, array in sorted(by_path(_load(path)[1]).items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _load(path: str | os.PathLike[str]) -> tuple[Metadata, Parameters]:
    """Load one of our checkpoints, or convert a PyTorch file."""
    if not is_tensor_file(path):
        return load_weights(path)
    file = read_tensors(path)
    try:
        converted = convert(file, source=str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return converted.metadata, converted.parameters


def _adapt(backbone: Parameters, got: ModelSpec, expected: ModelSpec) -> Parameters:
    cls, positions = jnp.asarray(backbone["cls_token"]), jnp.asarray(backbone["pos_embed"])
    positions = resample_positions(positions, grid=got.grid, to_grid=expected.grid)
    if got.cls_position and not expected.cls_position:
        cls, positions = cls + positions[:, :1], positions[:, 1:]
    elif expected.cls_position and not got.cls_position:
        positions = jnp.pad(positions, ((0, 0), (1, 0), (0, 0)))
    return {**backbone, "cls_token": cls, "pos_embed": positions}


def _show(grid: tuple[int, int]) -> str:
    return f"{grid[0]} x {grid[1]}"

"""From PyTorch's tensors to our checkpoints and back."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from lctr_jax.checkpoints import torch_names
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.recognition import recognize
from lctr_jax.checkpoints.store import expected_shapes
from lctr_jax.checkpoints.torch_files import TensorFile
from lctr_jax.checkpoints.trees import by_path, misfits
from lctr_jax.models.parameters import Parameters, initialise

DROPPED = {
    "head.": "classification head",
    "head_dist.": "distillation head",
    "dist_token": "distillation token, with its row of pos_embed",
}


class Conversion(NamedTuple):
    """A checkpoint to write, and what became of each tensor.

    `read` and `fresh`: our dotted names. `dropped`: PyTorch's names and why.
    """

    metadata: Metadata
    parameters: Parameters
    read: tuple[str, ...]
    fresh: tuple[str, ...]
    dropped: dict[str, str]


def convert(
    file: TensorFile, *, source: str, heads: int | None = None, num_classes: int | None = None
) -> Conversion:
    """Make a checkpoint of a DeiT's or LCTR's tensors.

    A DeiT gives a backbone or, with `num_classes`, an LCTR whose head is newly initialised.

    Raises:
        ValueError: a tensor is missing, unexpected or misshapen, or `num_classes` is not the LCTR's.
    """
    metadata = _metadata(file, source=source, heads=heads)
    layouts = torch_names.layouts(metadata)
    tensors, dropped = _drop(file.tensors, set(torch_names.torch_names(layouts, metadata.spec.depth)))
    expected = torch_names.torch_shapes(by_path(expected_shapes(metadata)), layouts)
    if wrong := misfits(tensors, expected):
        raise ValueError(f"tensors do not fit {describe(metadata)}: {'; '.join(wrong)}")
    flat = torch_names.from_torch(tensors, layouts, metadata.spec.depth)
    parameters, fresh = unflatten_dict(flat, sep="."), {}
    if num_classes is not None and metadata.kind == "backbone":
        spec = dataclasses.replace(metadata.spec, num_classes=num_classes)
        metadata = dataclasses.replace(metadata, kind="network", spec=spec)
        fresh = {
            name: part for name, part in initialise(spec, jax.random.key(0)).items() if name != "backbone"
        }
    elif num_classes not in (None, metadata.spec.num_classes):
        raise ValueError(
            f"--num_classes: got {num_classes}, but the file has {metadata.spec.num_classes} classes; "
            "leave it out: --config.init_from takes the backbone alone where the classes differ"
        )
    return Conversion(metadata, parameters | fresh, tuple(flat), tuple(by_path(fresh)), dropped)


def export(metadata: Metadata, parameters: Parameters) -> dict[str, np.ndarray]:
    """PyTorch's tensors of a checkpoint: the inverse of `convert`, bit for bit."""
    flat = by_path(parameters)
    return torch_names.to_torch(flat, torch_names.layouts(metadata), metadata.spec.depth)


def describe(metadata: Metadata) -> str:
    """The network in a few words."""
    spec = metadata.spec
    head = f"{spec.method} of {spec.num_classes} classes" if metadata.kind == "network" else "backbone"
    return (
        f"{head}, width {spec.width}, depth {spec.depth}, {spec.heads} heads, "
        f"{spec.grid[0]} x {spec.grid[1]} patches of {spec.patch_size} px"
    )


def _metadata(file: TensorFile, *, source: str, heads: int | None) -> Metadata:
    if file.metadata is not None:
        return dataclasses.replace(Metadata.from_json(file.metadata), source=source)
    kind, spec = recognize(file.tensors, heads=heads)
    return Metadata(kind=kind, spec=spec, source=source)


def _drop(
    tensors: Mapping[str, np.ndarray], wanted: set[str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors that remain, and why the others do not. A distilled DeiT's rows are CLS, dist, patches."""
    dropped = {
        name: reason
        for name in tensors
        for prefix, reason in DROPPED.items()
        if name.startswith(prefix) and name not in wanted
    }
    kept = {name: array for name, array in tensors.items() if name not in dropped}
    if "dist_token" in dropped:
        kept["pos_embed"] = np.delete(kept["pos_embed"], 1, axis=1)
    return kept, dropped

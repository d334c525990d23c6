"""Conversion of PyTorch tensors to our checkpoints and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from lctr_jax.checkpoints import torch_names, torch_variants
from lctr_jax.checkpoints.input_normalization import fold_half_normalization
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.parameter_paths import by_path, misfits
from lctr_jax.checkpoints.recognition import recognize_network
from lctr_jax.checkpoints.store import expected_shapes
from lctr_jax.checkpoints.torch_files import TensorFile
from lctr_jax.models.parameters import Parameters, initialize


class Conversion(NamedTuple):
    """A checkpoint to write, and the fate of each tensor.

    Attributes:
        metadata: of the checkpoint.
        parameters: of the checkpoint.
        read: our dotted names of the parameters that were read.
        fresh: our dotted names of the newly initialized parameters.
        dropped: the reason for each dropped tensor, by PyTorch name.
        half_normalized: the argument of `convert`.
    """

    metadata: Metadata
    parameters: Parameters
    read: tuple[str, ...]
    fresh: tuple[str, ...]
    dropped: dict[str, str]
    half_normalized: bool = False


def convert(
    file: TensorFile,
    *,
    source: str,
    heads: int | None = None,
    num_classes: int | None = None,
    half_normalized: bool = False,
) -> Conversion:
    """Convert the tensors of an LCTR, another known method, or a plain ViT such as DeiT.

    A ViT gives a backbone or, with `num_classes`, an LCTR with a newly initialized head.

    Args:
        file: the tensors.
        source: where they come from, stored in the metadata.
        heads: number of attention heads, if it cannot be determined from the width.
        num_classes: number of classes of a new head.
        half_normalized: the network expects images normalized with mean and standard deviation 0.5.

    Raises:
        ValueError: a tensor is missing, unexpected or of the wrong shape, or `num_classes` differs from the
            file's.
    """
    tensors = torch_variants.rename(file.tensors)
    metadata = _metadata(tensors, file.metadata, source=source, heads=heads)
    layouts = torch_names.layouts(metadata)
    wanted = torch_names.torch_names(layouts, metadata.spec.depth)
    tensors, dropped = torch_variants.drop(tensors, wanted=wanted)
    expected = torch_names.torch_shapes(by_path(expected_shapes(metadata)), layouts)
    if wrong := misfits(tensors, expected):
        raise ValueError(f"tensors do not fit {describe_network(metadata)}: {'; '.join(wrong)}")
    flat = torch_names.from_torch(tensors, layouts, metadata.spec.depth)
    parameters, fresh = unflatten_dict(flat, sep="."), {}
    if half_normalized:
        parameters["backbone"] = fold_half_normalization(parameters["backbone"])
    if num_classes is not None and metadata.kind == "backbone":
        spec = dataclasses.replace(metadata.spec, num_classes=num_classes)
        metadata = dataclasses.replace(metadata, kind="network", spec=spec)
        fresh = initialize(spec, jax.random.key(0))
        del fresh["backbone"]
    elif num_classes not in (None, metadata.spec.num_classes):
        raise ValueError(
            f"--num_classes: got {num_classes}, but the file has {metadata.spec.num_classes} classes; "
            "leave it out: --config.init_from reads only the backbone if the classes differ"
        )
    return Conversion(
        metadata, parameters | fresh, tuple(flat), tuple(by_path(fresh)), dropped, half_normalized
    )


def to_torch_tensors(metadata: Metadata, parameters: Parameters) -> dict[str, np.ndarray]:
    """Convert a checkpoint to PyTorch tensors, the exact inverse of `convert`."""
    flat = by_path(parameters)
    return torch_names.to_torch(flat, torch_names.layouts(metadata), metadata.spec.depth)


def describe_network(metadata: Metadata) -> str:
    """Describe the network in a few words."""
    spec = metadata.spec
    head = f"{spec.method} of {spec.num_classes} classes" if metadata.kind == "network" else "backbone"
    options = {
        "LayerScale": spec.layer_scale,
        f"{spec.registers} registers": spec.registers,
        "CLS without a position": not spec.cls_position,
    }
    parts = [
        f"{head}, width {spec.width}, depth {spec.depth}, {spec.heads} heads",
        f"{spec.grid[0]} x {spec.grid[1]} patches of {spec.patch_size} px",
        *(option for option, present in options.items() if present),
    ]
    return ", ".join(parts)


def _metadata(
    tensors: Mapping[str, np.ndarray], stored: Mapping[str, Any] | None, *, source: str, heads: int | None
) -> Metadata:
    if stored is not None:
        return dataclasses.replace(Metadata.from_json(stored), source=source)
    kind, spec = recognize_network(tensors, heads=heads)
    return Metadata(kind=kind, spec=spec, source=source)

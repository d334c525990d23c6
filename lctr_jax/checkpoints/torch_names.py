"""Our parameters beside the tensors of a PyTorch checkpoint, LCTR's or timm's: names and axis orders."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from lctr_jax.checkpoints.metadata import Metadata


class Layout(NamedTuple):
    """A PyTorch tensor's name and the axis order that turns it into ours (None: as it is).

    A name with `{}` stands for one tensor a block; ours stacks them along a leading layer axis.
    """

    name: str
    axes: tuple[int, ...] | None = None


_DENSE, _CONV = (1, 0), (2, 3, 1, 0)


def _layer(ours: str, torch: str, weight: str, axes: tuple[int, ...] | None) -> dict[str, Layout]:
    return {f"{ours}.{weight}": Layout(f"{torch}.weight", axes), f"{ours}.bias": Layout(f"{torch}.bias")}


BACKBONE: dict[str, Layout] = {
    "backbone.cls_token": Layout("cls_token"),
    "backbone.pos_embed": Layout("pos_embed"),
    **_layer("backbone.patch_embed", "patch_embed.proj", "kernel", _CONV),
    **_layer("backbone.blocks.norm1", "blocks.{}.norm1", "scale", None),
    **_layer("backbone.blocks.attn.qkv", "blocks.{}.attn.qkv", "kernel", _DENSE),
    **_layer("backbone.blocks.attn.proj", "blocks.{}.attn.proj", "kernel", _DENSE),
    **_layer("backbone.blocks.norm2", "blocks.{}.norm2", "scale", None),
    **_layer("backbone.blocks.mlp.fc1", "blocks.{}.mlp.fc1", "kernel", _DENSE),
    **_layer("backbone.blocks.mlp.fc2", "blocks.{}.mlp.fc2", "kernel", _DENSE),
    **_layer("backbone.norm", "norm", "scale", None),
}
CDM: dict[str, Layout] = {
    **_layer("cdm.conv3x3", "conv3x3", "kernel", _CONV),
    **_layer("cdm.route_mean", "CDM._routing_fn_two.fc", "kernel", _DENSE),
    **_layer("cdm.route_max", "CDM._routing_fn_two.fc2", "kernel", _DENSE),
    "cdm.kernels": Layout("CDM.weight", (3, 4, 2, 0, 1)),
    "cdm.bias": Layout("CDM.bias"),
}
_LINEAR = _layer("head", "head", "kernel", _DENSE)
LCTR: dict[str, Layout] = BACKBONE | CDM
HEADS: dict[str, dict[str, Layout]] = {
    "cdm": CDM,
    "conv": _layer("head", "head", "kernel", _CONV),  # as the published TS-CAM names it
    "cls": _LINEAR,
    "mean": _LINEAR,
}
LAYER_SCALE: dict[str, Layout] = {
    f"backbone.blocks.ls{branch}.scale": Layout(f"blocks.{{}}.ls{branch}.gamma") for branch in (1, 2)
}
REGISTERS: dict[str, Layout] = {"backbone.registers": Layout("reg_token")}


def layouts(metadata: Metadata) -> dict[str, Layout]:
    """The layouts of every parameter of such a checkpoint."""
    spec = metadata.spec
    optional = (LAYER_SCALE if spec.layer_scale else {}) | (REGISTERS if spec.registers else {})
    if metadata.kind == "backbone":
        return BACKBONE | optional
    return BACKBONE | HEADS[spec.head] | optional


def torch_names(layouts: Mapping[str, Layout], depth: int) -> list[str]:
    """Every PyTorch name that the layouts stand for, blocks unrolled."""
    return [name for layout in layouts.values() for name in _unroll(layout, depth)]


def from_torch(
    tensors: Mapping[str, np.ndarray], layouts: Mapping[str, Layout], depth: int
) -> dict[str, np.ndarray]:
    """PyTorch's tensors as our parameters, by dotted path.

    Raises:
        KeyError: a tensor is missing.
    """
    ours = {}
    for path, layout in layouts.items():
        found = [_permute(tensors[name], layout.axes) for name in _unroll(layout, depth)]
        ours[path] = np.stack(found) if "{}" in layout.name else found[0]
    return ours


def to_torch(
    parameters: Mapping[str, np.ndarray], layouts: Mapping[str, Layout], depth: int
) -> dict[str, np.ndarray]:
    """Our parameters as PyTorch's tensors, by name: the inverse of `from_torch`, bit for bit."""
    theirs = {}
    for path, layout in layouts.items():
        stacked = "{}" in layout.name
        for index, name in enumerate(_unroll(layout, depth)):
            array = parameters[path][index] if stacked else parameters[path]
            theirs[name] = _permute(array, _inverse(layout.axes))
    return theirs


def torch_shapes(
    shapes: Mapping[str, jax.ShapeDtypeStruct], layouts: Mapping[str, Layout]
) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of PyTorch's tensors, by name, from those of our parameters."""
    theirs = {}
    for path, layout in layouts.items():
        stacked = "{}" in layout.name
        shape = shapes[path].shape[1:] if stacked else shapes[path].shape
        if inverse := _inverse(layout.axes):
            shape = tuple(shape[axis] for axis in inverse)
        for name in _unroll(layout, shapes[path].shape[0] if stacked else 1):
            theirs[name] = jax.ShapeDtypeStruct(shape, np.float32)
    return theirs


def _unroll(layout: Layout, depth: int) -> list[str]:
    return [layout.name.format(index) for index in range(depth)] if "{}" in layout.name else [layout.name]


def _inverse(axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if axes is None else tuple(axes.index(axis) for axis in range(len(axes)))


def _permute(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return np.ascontiguousarray(array if axes is None else array.transpose(axes))

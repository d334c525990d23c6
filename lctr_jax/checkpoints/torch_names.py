"""Convert between our parameters and PyTorch tensors by a table of names and axis orders.

The backbone's table is here; each method declares that of its head (`Method.torch_names`).
"""

from collections.abc import Mapping

import jax
import numpy as np

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.models.methods import get_method
from lctr_jax.models.torch_layout import TorchLayout, conv, linear, norm

BACKBONE: dict[str, TorchLayout] = {
    "backbone.cls_token": TorchLayout("cls_token"),
    "backbone.pos_embed": TorchLayout("pos_embed"),
    **conv("backbone.patch_embed", "patch_embed.proj"),
    **norm("backbone.blocks.norm1", "blocks.{}.norm1"),
    **linear("backbone.blocks.attn.qkv", "blocks.{}.attn.qkv"),
    **linear("backbone.blocks.attn.proj", "blocks.{}.attn.proj"),
    **norm("backbone.blocks.norm2", "blocks.{}.norm2"),
    **linear("backbone.blocks.mlp.fc1", "blocks.{}.mlp.fc1"),
    **linear("backbone.blocks.mlp.fc2", "blocks.{}.mlp.fc2"),
    **norm("backbone.norm", "norm"),
}
LAYER_SCALE: dict[str, TorchLayout] = {
    f"backbone.blocks.ls{branch}.scale": TorchLayout(f"blocks.{{}}.ls{branch}.gamma") for branch in (1, 2)
}
REGISTERS: dict[str, TorchLayout] = {"backbone.registers": TorchLayout("reg_token")}


def layouts(metadata: Metadata) -> dict[str, TorchLayout]:
    """Return the layouts of all parameters of such a checkpoint."""
    spec = metadata.spec
    optional = (LAYER_SCALE if spec.layer_scale else {}) | (REGISTERS if spec.registers else {})
    if metadata.kind == "backbone":
        return BACKBONE | optional
    return BACKBONE | dict(get_method(spec.method).torch_names) | optional


def torch_names(layouts: Mapping[str, TorchLayout], depth: int) -> list[str]:
    """Return all PyTorch names of the layouts, with blocks unrolled."""
    return [name for layout in layouts.values() for name in _unroll(layout, depth)]


def from_torch(
    tensors: Mapping[str, np.ndarray], layouts: Mapping[str, TorchLayout], depth: int
) -> dict[str, np.ndarray]:
    """Convert PyTorch tensors to our parameters by dotted path.

    Raises:
        KeyError: a tensor is missing.
    """
    ours = {}
    for path, layout in layouts.items():
        found = [_permute(tensors[name], layout.axes) for name in _unroll(layout, depth)]
        ours[path] = np.stack(found) if "{}" in layout.name else found[0]
    return ours


def to_torch(
    parameters: Mapping[str, np.ndarray], layouts: Mapping[str, TorchLayout], depth: int
) -> dict[str, np.ndarray]:
    """Convert our parameters to PyTorch tensors by name, the exact inverse of `from_torch`."""
    theirs = {}
    for path, layout in layouts.items():
        stacked = "{}" in layout.name
        for index, name in enumerate(_unroll(layout, depth)):
            array = parameters[path][index] if stacked else parameters[path]
            theirs[name] = _permute(array, _inverse(layout.axes))
    return theirs


def torch_shapes(
    shapes: Mapping[str, jax.ShapeDtypeStruct], layouts: Mapping[str, TorchLayout]
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes of PyTorch tensors by name, given those of our parameters."""
    theirs = {}
    for path, layout in layouts.items():
        stacked = "{}" in layout.name
        shape = shapes[path].shape[1:] if stacked else shapes[path].shape
        if inverse := _inverse(layout.axes):
            shape = tuple(shape[axis] for axis in inverse)
        for name in _unroll(layout, shapes[path].shape[0] if stacked else 1):
            theirs[name] = jax.ShapeDtypeStruct(shape, np.float32)
    return theirs


def _unroll(layout: TorchLayout, depth: int) -> list[str]:
    return [layout.name.format(index) for index in range(depth)] if "{}" in layout.name else [layout.name]


def _inverse(axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if axes is None else tuple(axes.index(axis) for axis in range(len(axes)))


def _permute(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return np.ascontiguousarray(array if axes is None else array.transpose(axes))

"""Recognition of the network from the names and shapes of tensors."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lctr_jax.checkpoints.metadata import BACKBONE_FIELDS, Kind
from lctr_jax.models.methods import get_method, named_methods
from lctr_jax.models.spec import BACKBONES, ModelSpec, model_spec
from lctr_jax.models.torch_layout import shape_of

HEAD_WIDTH = 64  # width of an attention head in all published sizes that are not in `BACKBONES`


def recognize_network(
    tensors: Mapping[str, np.ndarray], *, heads: int | None = None
) -> tuple[Kind, ModelSpec]:
    """Recognize a network of a known method, or the backbone of a plain ViT.

    Args:
        tensors: arrays by timm's names.
        heads: number of attention heads, which shapes do not show; by default that of the published size of
            the same width and depth, or width / 64.

    Raises:
        ValueError: it is not a plain ViT, its patches do not form a square, or its heads are unknown.
    """
    pos_embed = shape_of(tensors, "pos_embed", rank=3)
    patch_embed = shape_of(tensors, "patch_embed.proj.weight", rank=4)
    hidden = shape_of(tensors, "blocks.0.mlp.fc1.weight", rank=2)
    blocks = {int(found[1]) for name in tensors if (found := re.match(r"blocks\.(\d+)\.", name))}
    depth = 1 + max(blocks)
    if (
        len(blocks) != depth
    ):  # checked here, so that a single name cannot create a network of a billion blocks
        raise ValueError(f"blocks: got {len(blocks)} up to number {max(blocks)}, expected every one from 0")
    width, channels, *patch = patch_embed
    if channels != 3 or patch[0] != patch[1] or not width or not patch[0]:
        raise ValueError(f"patch_embed.proj.weight: got {list(patch_embed)}, expected [width, 3, size, size]")
    side, cls_position = _grid_side(pos_embed[1] - ("dist_token" in tensors))
    if hidden[0] % width:
        raise ValueError(f"blocks.0.mlp.fc1.weight: got {hidden[0]} rows, expected a multiple of {width}")
    backbone = ModelSpec(
        num_classes=1,
        width=width,
        depth=depth,
        heads=heads or _guess_heads(width, depth),
        image_size=side * patch[0],
        patch_size=patch[0],
        mlp_ratio=hidden[0] // width,
        layer_scale="blocks.0.ls1.gamma" in tensors,
        registers=shape_of(tensors, "reg_token", rank=3)[1] if "reg_token" in tensors else 0,
        cls_position=cls_position,
    )
    for name in named_methods():
        if (fields := get_method(name).recognize(tensors)) is not None:
            return "network", dataclasses.replace(backbone, method=name, **fields)
    return "backbone", backbone


def size_options(spec: ModelSpec) -> dict[str, Any]:
    """Return options of `config.model` for such a backbone: the name of a size and the fields that differ."""

    def overrides(name: str) -> dict[str, Any]:
        size = dataclasses.asdict(model_spec(name, num_classes=1))
        fields = [field for field in BACKBONE_FIELDS if field not in ("image_size", "cls_position")]
        return {field: getattr(spec, field) for field in fields if getattr(spec, field) != size[field]}

    name = min(BACKBONES, key=lambda name: len(overrides(name)))
    return {"name": name, **overrides(name)}


def _grid_side(rows: int) -> tuple[int, bool]:
    """Return the side of the patch grid, and whether CLS has a row."""
    for patches, cls_position in ((rows - 1, True), (rows, False)):
        side = math.isqrt(max(patches, 0))
        if side and side**2 == patches:
            return side, cls_position
    raise ValueError(f"pos_embed: got {rows} rows, expected a square number of patches, or 1 more for CLS")


def _guess_heads(width: int, depth: int) -> int:
    for size in BACKBONES.values():
        if (size["width"], size["depth"]) == (width, depth):
            return size["heads"]
    if width % HEAD_WIDTH:
        raise ValueError(
            f"attention heads: unknown, and {width} is not a multiple of {HEAD_WIDTH}; "
            "pass --heads N to convert_deit_weights.py"
        )
    return width // HEAD_WIDTH

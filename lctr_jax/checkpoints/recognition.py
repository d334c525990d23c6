"""Which network a file's tensors belong to, read from their names and shapes."""

import dataclasses
import math
import re
from collections.abc import Mapping

import numpy as np

from lctr_jax.checkpoints.metadata import Kind
from lctr_jax.models.sizes import SIZES, ModelSpec

HEAD_WIDTH = 64  # of one attention head, in every published ViT


def recognize(tensors: Mapping[str, np.ndarray], *, heads: int | None = None) -> tuple[Kind, ModelSpec]:
    """What the tensors are of: an LCTR, or the backbone of a DeiT.

    `heads`: what shapes do not tell; by default as in the size of that width and depth, or width / 64.

    Raises:
        ValueError: they are of no ViT, its patches form no square, or the number of heads cannot be guessed.
    """
    pos_embed, patch_embed, hidden = _shapes(
        tensors, {"pos_embed": 3, "patch_embed.proj.weight": 4, "blocks.0.mlp.fc1.weight": 2}
    )
    depth = 1 + max(int(found[1]) for name in tensors if (found := re.match(r"blocks\.(\d+)\.", name)))
    width, channels, *patch = patch_embed
    if channels != 3 or patch[0] != patch[1]:
        raise ValueError(f"patch_embed.proj.weight: got {list(patch_embed)}, expected [width, 3, size, size]")
    patches = pos_embed[1] - 1 - ("dist_token" in tensors)
    side = math.isqrt(max(patches, 0))
    if side == 0 or side**2 != patches:
        raise ValueError(f"pos_embed: got {pos_embed[1]} rows, expected 1 + a square number of patches")
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
    )
    if not any(name.startswith(("CDM.", "conv3x3.")) for name in tensors):
        return "backbone", backbone
    experts, num_classes = _shapes(tensors, {"CDM.weight": 5})[0][:2]
    return "network", dataclasses.replace(backbone, num_classes=num_classes, experts=experts)


def _shapes(tensors: Mapping[str, np.ndarray], ranks: Mapping[str, int]) -> list[tuple[int, ...]]:
    for name, rank in ranks.items():
        if name not in tensors:
            found = ", ".join(list(tensors)[:5])
            raise ValueError(
                f"got no tensor {name!r}, expected a ViT, DeiT or LCTR; the file starts with {found}"
            )
        if tensors[name].ndim != rank:
            raise ValueError(f"{name}: got shape {list(tensors[name].shape)}, expected {rank} dimensions")
    return [tensors[name].shape for name in ranks]


def _guess_heads(width: int, depth: int) -> int:
    for size in SIZES.values():
        if (size["width"], size["depth"]) == (width, depth):
            return size["heads"]
    if width % HEAD_WIDTH:
        raise ValueError(
            f"number of attention heads: not in the file, nor {width} / {HEAD_WIDTH}; say --heads N"
        )
    return width // HEAD_WIDTH

"""Differences in names and extra tensors of published ViTs, compared with timm's names."""

import re
from collections.abc import Collection, Mapping

import numpy as np

from lctr_jax.checkpoints.transformers_names import from_transformers
from lctr_jax.checkpoints.wrappers import strip_prefixes

_RENAMED = {
    r"^register_tokens$": "reg_token",  # DINOv2
    r"\.gamma_([12])$": r".ls\1.gamma",  # DeiT III
}
_DROPPED = {
    "head.": "classification head",  # DeiT, AugReg; DINO's projection
    "head_dist.": "distillation head",
    "dist_token": "distillation token, with its row of pos_embed",
    "pre_logits.": "layer before the classification head",  # early ViT
    "mask_token": "stands for masked patches",  # MAE, DINOv2
    "decoder_": "decoder of masked patches",  # MAE
    "decoder.": "decoder of masked patches",  # MAE, Hugging Face's
    "pooler.": "layer on CLS before a classification head",  # Hugging Face's ViT and DeiT
    "dino_head.": "projection head",
    "ibot_head.": "projection head",
    "triHead.bn_head.num_batches_tracked": "BatchNorm's count of batches",  # TriLite
}


def rename(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename tensors to timm's names, without the prefixes of wrappers.

    Raises:
        ValueError: two tensors get the same name, or there are several networks.
    """
    renamed = {}
    for name, array in from_transformers(strip_prefixes(tensors)).items():
        new = name
        for pattern, replacement in _RENAMED.items():
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise ValueError(f"got two tensors for {new!r}, one of them as {name!r}")
        renamed[new] = array
    return renamed


def drop(
    tensors: Mapping[str, np.ndarray], *, wanted: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the remaining tensors, and the reason for each dropped one; `wanted` names are never dropped.

    The position embedding of a distilled DeiT has rows for CLS, the distillation token and the patches.
    """
    dropped = {
        name: reason
        for name in tensors
        for prefix, reason in _DROPPED.items()
        if name.startswith(prefix) and name not in wanted
    }
    remaining = {name: array for name, array in tensors.items() if name not in dropped}
    if "dist_token" in dropped:
        remaining["pos_embed"] = np.delete(remaining["pos_embed"], 1, axis=1)
    return remaining, dropped

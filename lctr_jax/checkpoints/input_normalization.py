"""Backbones trained on images with another normalization."""

import numpy as np
from jaxtyping import Float32

from lctr_jax.models.normalization import MEAN, STD
from lctr_jax.models.parameters import Parameters

HALF = np.array(0.5)  # mean and standard deviation of AugReg's input


def fold_half_normalization(backbone: Parameters) -> Parameters:
    """Adapt a backbone to images normalized with ImageNet's mean and standard deviation.

    With x = (p - mean) / std (ours) and y = (p - 0.5) / 0.5 (theirs), y = x std / 0.5 + (mean - 0.5) / 0.5.
    This is folded into the patch embedding, which is linear and has no padding, so the function of the pixels
    is unchanged.
    """
    embedding = backbone["patch_embed"]
    kernel: Float32[np.ndarray, "patch patch 3 width"] = embedding["kernel"]
    scale, shift = STD / HALF, (MEAN - HALF) / HALF
    bias = embedding["bias"] + np.einsum("hwcd,c->d", kernel, shift)
    folded = {"kernel": kernel * scale[:, None], "bias": bias}
    return {**backbone, "patch_embed": {name: array.astype(np.float32) for name, array in folded.items()}}

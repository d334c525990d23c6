"""Backbones trained on images normalized otherwise than ours."""

import numpy as np
from jaxtyping import Float32

from lctr_jax.models.normalization import MEAN, STD
from lctr_jax.models.parameters import Parameters

HALF = np.array(0.5)  # mean and standard deviation of the images that AugReg's ViTs take


def fold_half_normalization(backbone: Parameters) -> Parameters:
    """The same function of the pixels, for images normalized by ImageNet's mean and standard deviation.

    With x = (p - mean) / std ours and y = (p - 0.5) / 0.5 theirs, y = x std / 0.5 + (mean - 0.5) / 0.5, which
    the patch embedding takes up: it is linear and pads nothing.
    """
    embedding = backbone["patch_embed"]
    kernel: Float32[np.ndarray, "patch patch 3 width"] = embedding["kernel"]
    scale, shift = STD / HALF, (MEAN - HALF) / HALF
    bias = embedding["bias"] + np.einsum("hwcd,c->d", kernel, shift)
    folded = {"kernel": kernel * scale[:, None], "bias": bias}
    return {**backbone, "patch_embed": {name: array.astype(np.float32) for name, array in folded.items()}}

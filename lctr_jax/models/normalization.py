"""Input normalization with ImageNet's channel statistics."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, UInt8

MEAN = np.array((0.485, 0.456, 0.406), np.float32)
STD = np.array((0.229, 0.224, 0.225), np.float32)


def normalize(
    images: UInt8[Array | np.ndarray, "*batch height width 3"],
) -> Float32[Array, "*batch height width 3"]:
    """Convert RGB in 0..255 to the network's input: (image / 255 - mean) / std per channel."""
    mean, std = (jnp.expand_dims(array, tuple(range(images.ndim - 1))) for array in (MEAN, STD))
    return (jnp.asarray(images, jnp.float32) / 255 - mean) / std

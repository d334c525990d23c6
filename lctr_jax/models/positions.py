"""Resampling of position embeddings to another grid of patches."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def resample_positions(
    embedding: Float[Array, "1 tokens width"], *, grid: tuple[int, int], to_grid: tuple[int, int]
) -> Float[Array, "1 new_tokens width"]:
    """Resample the patch rows of a position embedding to another grid; a row for CLS, if present, is kept.

    Antialiased bicubic (Keys, a = -0.5), as in timm: equal to PyTorch's
    `interpolate(mode="bicubic", antialias=True)`.

    Raises:
        ValueError: the embedding does not have height x width rows, or one more.
    """
    height, width = grid
    prefix = embedding.shape[1] - height * width
    if prefix not in (0, 1):
        raise ValueError(
            f"position embedding: got {embedding.shape[1]} rows, expected {height} x {width} or 1 more"
        )
    if grid == to_grid:
        return embedding
    cls, patches = embedding[:, :prefix], embedding[:, prefix:]
    patches = patches.reshape(1, height, width, -1)
    patches = jax.image.resize(patches, (1, *to_grid, patches.shape[-1]), "bicubic", antialias=True)
    return jnp.concatenate([cls, patches.reshape(1, -1, patches.shape[-1])], axis=1)

"""Transformer layers of ViT (Dosovitskiy et al., 2021): MLP, drop path and the pre-norm block."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from lctr_jax.models.attention import Attention, AttentionStatistics, Statistics
from lctr_jax.models.sizes import ModelSpec

initialize_weights = nnx.initializers.truncated_normal(0.02)


def layer_norm(spec: ModelSpec, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """LayerNorm over the width with DeiT's epsilon; its statistics are float32 whatever `spec.dtype`."""
    # The fast variance, E[x^2] - E[x]^2, loses digits that the goldens have.
    return nnx.LayerNorm(spec.width, epsilon=1e-6, use_fast_variance=False, dtype=spec.dtype, rngs=rngs)


class Mlp(nnx.Module):
    """Two dense layers with exact (erf) GELU between them."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        hidden = spec.width * spec.mlp_ratio
        self.fc1 = nnx.Linear(spec.width, hidden, dtype=spec.dtype, kernel_init=initialize_weights, rngs=rngs)
        self.fc2 = nnx.Linear(hidden, spec.width, dtype=spec.dtype, kernel_init=initialize_weights, rngs=rngs)

    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        return self.fc2(nnx.gelu(self.fc1(tokens), approximate=False))


def drop_path(
    key: Key[Array, ""], branch: Float[Array, "batch tokens width"], rate: Float[Array, ""]
) -> Float[Array, "batch tokens width"]:
    """Zero a residual branch of whole samples with probability `rate`; scale the others to keep the mean.

    Stochastic depth (Huang et al., 2016), per sample.
    """
    keep = jax.random.bernoulli(key, 1 - rate, (branch.shape[0], 1, 1))
    return jnp.where(keep, branch / (1 - rate).astype(branch.dtype), 0)


class Block(nnx.Module):
    """Pre-norm transformer block: attention, then MLP, each added to the residual stream."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.norm1 = layer_norm(spec, rngs)
        self.attn = Attention(spec, rngs=rngs)
        self.norm2 = layer_norm(spec, rngs)
        self.mlp = Mlp(spec, rngs=rngs)

    def __call__(
        self,
        tokens: Float[Array, "batch tokens width"],
        *,
        statistics: Statistics,
        drop: tuple[Key[Array, ""], Float[Array, ""]] | None = None,
    ) -> tuple[Float[Array, "batch tokens width"], AttentionStatistics]:
        """`drop` is a key and this block's drop-path rate; without it nothing is dropped."""
        attended, attention = self.attn(self.norm1(tokens), statistics=statistics)
        if drop is not None:
            key, rate = drop
            attended = drop_path(jax.random.fold_in(key, 0), attended, rate)
        tokens = tokens + attended
        transformed = self.mlp(self.norm2(tokens))
        if drop is not None:
            transformed = drop_path(jax.random.fold_in(key, 1), transformed, rate)
        return tokens + transformed, attention

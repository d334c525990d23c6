"""Transformer layers of ViT (Dosovitskiy et al., 2021): MLP, drop path and the pre-norm block."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Key

from lctr_jax.models.attention import Attention, AttentionStatistics, Statistics
from lctr_jax.models.initialization import kernel_initializer
from lctr_jax.models.sizes import ModelSpec


def layer_norm(spec: ModelSpec, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """LayerNorm over the width with DeiT's epsilon; its statistics are float32 whatever `spec.dtype`."""
    # The fast variance, E[x^2] - E[x]^2, loses digits that the goldens have.
    return nnx.LayerNorm(spec.width, epsilon=1e-6, use_fast_variance=False, dtype=spec.dtype, rngs=rngs)


class Mlp(nnx.Module):
    """Two dense layers with exact (erf) GELU between them."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        hidden, init = spec.width * spec.mlp_ratio, kernel_initializer(spec)
        self.fc1 = nnx.Linear(spec.width, hidden, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.fc2 = nnx.Linear(hidden, spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)

    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Apply to each token alone."""
        return self.fc2(nnx.gelu(self.fc1(tokens), approximate=False))


class LayerScale(nnx.Module):
    """A learned factor a channel on a residual branch, small at first (CaiT; Touvron et al., 2021)."""

    def __init__(self, spec: ModelSpec):
        self.scale = nnx.Param(jnp.full((spec.width,), 1e-5))

    def __call__(self, branch: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Scale each channel."""
        return branch * self.scale[...].astype(branch.dtype)


def branch_scales(keys: Key[Array, " batch"], *, depth: int, rate: float) -> Float32[Array, "depth 2 batch"]:
    """Drop path: what each sample's two residual branches of each block are multiplied by.

    Stochastic depth (Huang et al., 2016): 0 with the block's rate, which rises linearly from 0 to `rate`,
    else 1 / (1 - rate), which keeps the mean. One key a sample, so that a sample's draw does not depend on
    which device, host or slice of the batch it lands in.
    """
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (depth, 2)))(keys)
    keep = 1 - jnp.linspace(0, rate, depth)[:, None, None]
    return jnp.where(uniform.transpose(1, 2, 0) < keep, 1 / keep, 0)


class Block(nnx.Module):
    """Pre-norm transformer block: attention, then MLP, each added to the residual stream."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.norm1 = layer_norm(spec, rngs)
        self.attn = Attention(spec, rngs=rngs)
        self.norm2 = layer_norm(spec, rngs)
        self.mlp = Mlp(spec, rngs=rngs)
        self.ls1 = LayerScale(spec) if spec.layer_scale else None
        self.ls2 = LayerScale(spec) if spec.layer_scale else None

    def __call__(
        self,
        tokens: Float[Array, "batch tokens width"],
        *,
        statistics: Statistics,
        scales: Float32[Array, "2 batch"] | None = None,
    ) -> tuple[Float[Array, "batch tokens width"], AttentionStatistics]:
        """`scales`, of `branch_scales`, drops branches of samples; without them nothing is dropped."""
        attended, attention = self.attn(self.norm1(tokens), statistics=statistics)
        if self.ls1 is not None:
            attended = self.ls1(attended)
        tokens = tokens + _scaled(attended, scales, 0)
        transformed = self.mlp(self.norm2(tokens))
        if self.ls2 is not None:
            transformed = self.ls2(transformed)
        return tokens + _scaled(transformed, scales, 1), attention


def _scaled(branch: Array, scales: Array | None, index: int) -> Array:
    return branch if scales is None else branch * scales[index, :, None, None].astype(branch.dtype)

"""Transformer layers of ViT (Dosovitskiy et al., 2021): MLP, drop path and the pre-norm block."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Primitive
from jaxtyping import Array, Float, Float32, Key

from lctr_jax.models.attention import Attention, AttentionStatistics, Statistics
from lctr_jax.models.dense import Dense
from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.spec import ModelSpec


class LayerNorm(nnx.Module):
    """LayerNorm over the width (Ba et al., 2016) with DeiT's epsilon and float32 statistics.

    Flax's LayerNorm does not name its statistics, so a rematerialization policy could not keep them.
    """

    def __init__(self, spec: ModelSpec):
        self.scale = nnx.Param(jnp.ones(spec.width))
        self.bias = nnx.Param(jnp.zeros(spec.width))
        self.dtype = jnp.dtype(spec.dtype)

    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Normalize each token."""
        wide = tokens.astype(jnp.float32)
        mean = checkpoint_name(wide.mean(-1, keepdims=True), "mean")
        centered = wide - mean
        # Not E[x^2] - E[x]^2, whose cancellation error exceeds the tolerance of the golden files.
        variance = jnp.square(centered).mean(-1, keepdims=True)
        inverse = checkpoint_name(jax.lax.rsqrt(variance + 1e-6), "inverse")
        return (centered * inverse * self.scale[None, None] + self.bias[None, None]).astype(self.dtype)


class Mlp(nnx.Module):
    """Two dense layers with exact (erf) GELU between them."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        hidden, init = spec.width * spec.mlp_ratio, kernel_initializer(spec)
        self.fc1 = Dense(spec.width, hidden, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.fc2 = Dense(hidden, spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)

    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Apply the MLP to each token."""
        hidden = checkpoint_name(self.fc1(tokens), "hidden")
        return self.fc2(gelu(hidden))


def gelu(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute exact GELU, x Phi(x) (Hendrycks & Gimpel, 2016), in float32, with Phi from erf as in PyTorch.

    `jax.nn.gelu` uses erfc, which takes GPUs twice as long as reading and writing the values.
    """
    wide = values.astype(jnp.float32)
    return (wide * ((1 + jax.lax.erf(wide * 0.5**0.5)) / 2)).astype(values.dtype)


class LayerScale(nnx.Module):
    """A learned factor per channel on a residual branch, initially small (CaiT; Touvron et al., 2021)."""

    def __init__(self, spec: ModelSpec):
        self.scale = nnx.Param(jnp.full((spec.width,), 1e-5))

    def __call__(self, branch: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Scale each channel."""
        return branch * self.scale[None, None].astype(branch.dtype)


# Kept for the backward pass, besides each block's input: the results of the large products and LayerNorm's
# statistics. Element-wise operations and attention scores are recomputed from them.
SAVED_NAMES = ("qkv", "attended", "middle", "hidden", "mean", "inverse")
_CUDNN_ATTENTION = "dot_product_attention_fwd_wrapper"  # JAX's primitive


def keep_products(primitive: Primitive, *avals: Any, **params: Any) -> bool:
    """Return whether `jax.checkpoint` keeps a result: arrays named in `SAVED_NAMES`, and cuDNN's attention.

    cuDNN returns the attended values and each row's normalizer. The normalizer has no name; without it,
    cuDNN's backward pass would run the forward pass again.
    """
    named = jax.checkpoint_policies.save_only_these_names(*SAVED_NAMES)
    return primitive.name == _CUDNN_ATTENTION or bool(named(primitive, *avals, **params))


def branch_scales(keys: Key[Array, " batch"], *, depth: int, rate: float) -> Float32[Array, "depth 2 batch"]:
    """Draw the drop-path factor of both residual branches of each block and sample.

    Stochastic depth (Huang et al., 2016): 0 with the block's rate, which rises linearly from 0 to `rate`;
    otherwise 1 / (1 - rate), which preserves the mean. There is one key per sample, so a draw does not depend
    on the device, host or micro-batch that processes the sample.
    """
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (depth, 2)))(keys)
    keep = 1 - jnp.linspace(0, rate, depth)[:, None, None]
    return jnp.where(uniform.transpose(1, 2, 0) < keep, 1 / keep, 0)


class Block(nnx.Module):
    """Pre-norm transformer block: attention, then MLP, each added to the residual stream."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.norm1 = LayerNorm(spec)
        self.attn = Attention(spec, rngs=rngs)
        self.norm2 = LayerNorm(spec)
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
        """Apply the block.

        Args:
            tokens: the residual stream.
            statistics: see `Attention`.
            scales: drop-path factors of both branches (`branch_scales`); None keeps every branch.
        """
        attended, attention = self.attn(self.norm1(tokens), statistics=statistics)
        if self.ls1 is not None:
            attended = self.ls1(attended)
        tokens = checkpoint_name(tokens + _scaled(attended, scales, 0), "middle")
        transformed = self.mlp(self.norm2(tokens))
        if self.ls2 is not None:
            transformed = self.ls2(transformed)
        return tokens + _scaled(transformed, scales, 1), attention


def _scaled(branch: Array, scales: Array | None, index: int) -> Array:
    return branch if scales is None else branch * scales[index, :, None, None].astype(branch.dtype)

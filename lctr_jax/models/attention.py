"""Multi-head self-attention that reports the statistics LCTR reads from it."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from lctr_jax.models.fused_attention import fused_attention, fused_implementation
from lctr_jax.models.initialization import kernel_initializer
from lctr_jax.models.rpam import patch_relation
from lctr_jax.models.sizes import ModelSpec

Statistics = Literal["cls", "relation", "matrix"]


class AttentionStatistics(NamedTuple):
    """What one layer's attention says about the patches.

    `cls`: attention of the CLS token, mean over heads. `relation`: RPAM's vector of the layer, and `matrix`:
    attention between all tokens, mean over heads, or None where they were not asked for.
    """

    cls: Float[Array, "batch patches"]
    relation: Float[Array, "batch patches"] | None = None
    matrix: Float[Array, "batch tokens tokens"] | None = None


class Attention(nnx.Module):
    """Softmax attention with a fused query-key-value projection (Vaswani et al., 2017)."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        init = kernel_initializer(spec)
        self.qkv = nnx.Linear(spec.width, 3 * spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.proj = nnx.Linear(spec.width, spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.heads = spec.heads
        self.prefix_tokens = spec.prefix_tokens
        self.implementation = spec.attention

    def __call__(
        self, tokens: Float[Array, "batch tokens width"], *, statistics: Statistics
    ) -> tuple[Float[Array, "batch tokens width"], AttentionStatistics]:
        """Attend; `statistics` chooses CLS's row alone, or RPAM's vector or the whole matrix as well."""
        # Torch's order of the fused projection: (query, key, value) x heads x head width.
        qkv = checkpoint_name(self.qkv(tokens), "qkv")
        implementation = fused_implementation(
            self.implementation,
            tokens=qkv.shape[1],
            head_width=tokens.shape[2] // self.heads,
            dtype=qkv.dtype,
        )
        if statistics == "cls" and implementation:
            attended, cls_row = fused_attention(qkv, heads=self.heads, implementation=implementation)
            matrix = None
        else:
            attended, weights = plain_attention(qkv, heads=self.heads)
            cls_row = weights[:, :, 0].mean(1)
            matrix = None if statistics == "cls" else weights.mean(1)
        out = self.proj(checkpoint_name(attended, "attended"))
        cls = cls_row[:, self.prefix_tokens :]
        if statistics == "relation":
            assert matrix is not None
            relation = patch_relation(matrix, prefix_tokens=self.prefix_tokens)
            return out, AttentionStatistics(cls, relation=relation)
        return out, AttentionStatistics(cls, matrix=matrix)


def plain_attention(
    qkv: Float[Array, "batch tokens width3"], *, heads: int
) -> tuple[Float[Array, "batch tokens width"], Float[Array, "batch heads tokens tokens"]]:
    """Attended values and the whole attention, step by step."""
    batch, count, width3 = qkv.shape
    query, key, value = qkv.reshape(batch, count, 3, heads, width3 // 3 // heads).transpose(2, 0, 3, 1, 4)
    weights = attention_weights(query, key)
    attended = jnp.einsum("bhqk,bhkd->bqhd", weights.astype(value.dtype), value)
    return attended.reshape(batch, count, width3 // 3), weights


def attention_weights(
    query: Float[Array, "batch heads tokens head_width"], key: Float[Array, "batch heads tokens head_width"]
) -> Float[Array, "batch heads tokens tokens"]:
    """softmax(Q K^T / sqrt(head_width)), accumulated and normalized in float32."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key, preferred_element_type=jnp.float32)
    return jax.nn.softmax(scores * query.shape[-1] ** -0.5, axis=-1)

"""Attention in plain JAX operations, with all attention weights in memory."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def plain_attention(
    qkv: Float[Array, "batch tokens width3"], *, heads: int
) -> tuple[Float[Array, "batch tokens width"], Float[Array, "batch heads tokens tokens"]]:
    """Compute attended values and all attention weights.

    Args:
        qkv: fused projections; columns are (query, key, value) x heads x head width.
        heads: number of heads.
    """
    batch, count, width3 = qkv.shape
    query, key, value = qkv.reshape(batch, count, 3, heads, width3 // 3 // heads).transpose(2, 0, 3, 1, 4)
    weights = attention_weights(query, key)
    attended = jnp.einsum("bhqk,bhkd->bqhd", weights.astype(value.dtype), value)
    return attended.reshape(batch, count, width3 // 3), weights


def attention_weights(
    query: Float[Array, "batch heads tokens head_width"], key: Float[Array, "batch heads tokens head_width"]
) -> Float[Array, "batch heads tokens tokens"]:
    """Compute softmax(Q K^T / sqrt(head_width)), accumulated and normalized in float32."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key, preferred_element_type=jnp.float32)
    return jax.nn.softmax(scores * query.shape[-1] ** -0.5, axis=-1)

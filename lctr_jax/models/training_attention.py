"""Attention for training: attended values and CLS's row of the weights, fast on each platform.

On TPUs a Pallas kernel computes both without writing the scores to memory. On GPUs cuDNN computes the values,
and CLS's row (1/197 of the work) is computed separately. On CPUs the batch is split into parts, one per core.
"""

import math
import os
from collections.abc import Callable
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from lctr_jax.models.attention_kernel import MAX_TOKENS, attention_kernel
from lctr_jax.models.plain_attention import plain_attention

_MAX_PARTS = 8  # of a batch on a CPU; compile time grows with each


def training_attention(
    qkv: Float[Array, "batch tokens width3"], *, heads: int, implementation: str
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """Compute the attended values of all heads and CLS's attention weights, mean over heads.

    Args:
        qkv: fused projections; columns are (query, key, value) x heads x head width.
        heads: number of heads.
        implementation: "tpu", "cpu", "cudnn", or "xla", which computes the same as "cudnn" on any platform.
    """
    if implementation == "tpu" and qkv.shape[1] > MAX_TOKENS:  # for images larger than the network's
        attended, weights = plain_attention(qkv, heads=heads)
        return attended, weights[:, :, 0].mean(1)
    if implementation == "tpu":
        return _on_each_device(lambda rows: attention_kernel(rows, heads), qkv)
    if implementation == "cpu":
        return _on_each_device(lambda rows: _attend_in_parts(rows, heads), qkv)
    return _attend_padded(qkv, heads, implementation)


def _attend_padded(
    qkv: Float[Array, "batch tokens width3"], heads: int, implementation: str
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """Call `jax.nn.dot_product_attention` with an even number of tokens, and compute CLS's row separately.

    JAX refuses odd numbers of tokens in cuDNN's backward pass. An odd number is padded by one token, which
    the sequence lengths exclude from attention; its values and gradients are zeros.
    """
    batch, tokens, width3 = qkv.shape
    odd = tokens % 2
    padded = jnp.pad(qkv, ((0, 0), (0, odd), (0, 0)))
    query, key, value = jnp.moveaxis(padded.reshape(batch, tokens + odd, 3, heads, -1), 2, 0)
    lengths = jnp.full(batch, tokens, jnp.int32) if odd else None
    with jax.numpy_dtype_promotion("standard"):  # JAX's own attention relies on implicit promotion in 16 bits
        attended = jax.nn.dot_product_attention(
            query,
            key,
            value,
            query_seq_lengths=lengths,
            key_value_seq_lengths=lengths,
            implementation=cast(Literal["cudnn", "xla"], implementation),
        )
    scores = jnp.einsum("bhd,bkhd->bhk", query[:, 0], key[:, :tokens], preferred_element_type=jnp.float32)
    cls = jax.nn.softmax(scores * query.shape[-1] ** -0.5, axis=-1).mean(1)
    return attended[:, :tokens].reshape(batch, tokens, width3 // 3), cls


def _attend_in_parts(
    qkv: Float[Array, "batch tokens width3"], heads: int
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """Apply plain attention to equal parts of the batch.

    XLA's CPU backend computes a batched product of small matrices on one core, but runs independent products
    in parallel.
    """
    parts = jnp.split(qkv, math.gcd(len(qkv), min(os.cpu_count() or 1, _MAX_PARTS)))
    attended, weights = zip(*(plain_attention(part, heads=heads) for part in parts), strict=True)
    return jnp.concatenate(attended), jnp.concatenate([part[:, :, 0].mean(1) for part in weights])


def _on_each_device(function: Callable[[Array], Any], rows: Array) -> Any:
    """Apply the function to each device's part of the batch; XLA cannot partition kernels by itself."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_manual:
        return function(rows)
    batch = jax.P(mesh.axis_names)
    return jax.shard_map(function, mesh=mesh, in_specs=batch, out_specs=batch, check_vma=False)(rows)

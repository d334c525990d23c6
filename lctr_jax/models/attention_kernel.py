"""Attention of one image as a single TPU kernel that keeps the scores in on-chip memory.

A ViT has few tokens per image (197), so all scores of one head fit in VMEM at once: a plain softmax without
tiling. The backward kernel recomputes the probabilities from queries and keys, which adds about 1 % FLOPs to
a training step and avoids most of its memory traffic (as in FlashAttention; Dao et al., NeurIPS 2022).
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, Float32

MAX_TOKENS = 512  # a head's float32 scores, 1 MB at this length, have to fit in VMEM


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def attention_kernel(
    qkv: Float[Array, "batch tokens width3"], heads: int, interpret: bool = False
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """Compute attention and the CLS token's attention weights with a Pallas kernel.

    The gradient is a Pallas kernel as well.

    Args:
        qkv: fused projections; columns are (query, key, value) x heads x head width.
        heads: number of heads.
        interpret: run in Pallas's interpreter, without a TPU.

    Returns:
        The attended values of all heads, and CLS's attention weights, mean over heads.
    """
    batch, tokens, width3 = qkv.shape
    outputs = (
        jax.ShapeDtypeStruct((batch, tokens, width3 // 3), qkv.dtype),
        jax.ShapeDtypeStruct((batch, 1, tokens), jnp.float32),
    )
    attended, cls = _call(_attend, (qkv,), outputs, heads=heads, products=2, interpret=interpret)
    return attended, cls[:, 0]


def _forward(qkv, heads, interpret):
    return attention_kernel(qkv, heads, interpret), qkv


def _backward(heads, interpret, qkv, cotangents):
    d_attended, d_cls = cotangents
    outputs = (jax.ShapeDtypeStruct(qkv.shape, qkv.dtype),)
    inputs = (qkv, d_attended, d_cls[:, None])
    return _call(_attend_transposed, inputs, outputs, heads=heads, products=5, interpret=interpret)


attention_kernel.defvjp(_forward, _backward)


def _call(kernel, inputs, outputs, *, heads: int, products: int, interpret: bool):
    """Run a kernel once per image; `products` is its number of tokens x tokens x width products."""
    batch, tokens, width3 = inputs[0].shape
    arrays = (*inputs, *outputs)
    blocks = [pl.BlockSpec((1, *array.shape[1:]), lambda image: (image, 0, 0)) for array in arrays]
    return pl.pallas_call(
        functools.partial(kernel, heads=heads),
        grid=(batch,),
        in_specs=blocks[: len(inputs)],
        out_specs=blocks[len(inputs) :],
        out_shape=outputs,
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",)),
        cost_estimate=pl.CostEstimate(
            flops=2 * products * batch * tokens**2 * width3 // 3,
            transcendentals=batch * heads * tokens**2,
            bytes_accessed=sum(array.size * array.dtype.itemsize for array in arrays),
        ),
        interpret=interpret,
    )(*inputs)


def _attend(qkv_ref, attended_ref, cls_ref, *, heads: int):
    cls = jnp.zeros(cls_ref.shape[1:], jnp.float32)
    for head in range(heads):
        query, key, value = _head(qkv_ref, head, heads)
        weights = _weights(query, key)
        own = _columns(attended_ref, head, heads)
        attended_ref[0, :, own] = _dot(weights.astype(value.dtype), value).astype(value.dtype)
        cls += weights[:1]
    cls_ref[0] = cls / heads


def _attend_transposed(qkv_ref, d_attended_ref, d_cls_ref, d_qkv_ref, *, heads: int):
    cls_row = jax.lax.broadcasted_iota(jnp.int32, (qkv_ref.shape[1], 1), 0) == 0
    d_cls = jnp.where(cls_row, d_cls_ref[0] / heads, 0)
    for head in range(heads):
        query, key, value = _head(qkv_ref, head, heads)
        d_attended = d_attended_ref[0, :, _columns(d_attended_ref, head, heads)]
        weights = _weights(query, key)
        d_weights = _dot(d_attended, value, over=(1, 1)) + d_cls
        mean = jnp.sum(weights * d_weights, axis=1, keepdims=True)
        d_scores = (weights * (d_weights - mean) * query.shape[1] ** -0.5).astype(query.dtype)
        gradients = (
            _dot(d_scores, key),
            _dot(d_scores, query, over=(0, 0)),
            _dot(weights.astype(value.dtype), d_attended, over=(0, 0)),
        )
        for part, gradient in enumerate(gradients):
            own = _columns(d_qkv_ref, part * heads + head, 3 * heads)
            d_qkv_ref[0, :, own] = gradient.astype(d_qkv_ref.dtype)


def _head(qkv_ref, head: int, heads: int):
    return (qkv_ref[0, :, _columns(qkv_ref, part * heads + head, 3 * heads)] for part in range(3))


def _columns(ref, index: int, parts: int) -> slice:
    width = ref.shape[-1] // parts
    return slice(index * width, (index + 1) * width)


def _weights(query, key):
    """Return softmax(Q K^T / sqrt(head width)) in float32."""
    scores = _dot(query, key, over=(1, 1)) * query.shape[1] ** -0.5
    exponentials = jnp.exp(scores - jnp.max(scores, axis=1, keepdims=True))
    return exponentials / jnp.sum(exponentials, axis=1, keepdims=True)


def _dot(left, right, *, over: tuple[int, int] = (1, 0)):
    dimensions = (((over[0],), (over[1],)), ((), ()))
    return jax.lax.dot_general(left, right, dimensions, preferred_element_type=jnp.float32)

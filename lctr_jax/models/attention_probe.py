"""Test the fused attention of a platform on a device before a run relies on it.

Drivers, cuDNN and kernel compilers may reject a shape only at run time. The test uses two images of random
numbers, with the head width, heads, number of tokens and data type of the real network.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lctr_jax.models.execution import Device, matmul_precision
from lctr_jax.models.plain_attention import plain_attention
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.training_attention import training_attention

_IMAGES = 2
_TOLERANCE = 0.05
"""Relative to the largest value. Rounding to 16 bits stays below a fifth of this; attention to padding, or
wrongly scaled scores, exceed it.
"""


@functools.cache
def attention_refusal(spec: ModelSpec, device: Device) -> str | None:
    """Return why the spec's fused attention cannot be used on the device, in one line; None if it can.

    Compiles and runs the forward and backward pass on `device` and compares them with plain attention.
    """
    if spec.attention in ("plain", "cpu"):
        return None  # consists of matrix products and a softmax, which every platform supports
    shape = (_IMAGES, spec.tokens, 3 * spec.width)
    values = np.random.default_rng(0).normal(size=shape)
    qkv = jax.device_put(jnp.asarray(values, spec.dtype), device)
    try:
        got = _values_and_gradients(spec, spec.attention, qkv)
    except Exception as error:  # compilers and drivers raise many types
        return " ".join(str(error).split())[:300] or type(error).__name__
    expected = _values_and_gradients(spec, "plain", qkv)
    errors = [_relative_error(*pair) for pair in zip(got, expected, strict=True)]
    if all(error <= _TOLERANCE for error in errors):  # false for NaN as well
        return None
    return f"differs from plain attention by {np.max(errors):.1%}"


def _relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def _values_and_gradients(
    spec: ModelSpec, attention: str, qkv: Float[Array, "batch tokens width3"]
) -> list[np.ndarray]:
    """Return attended values, CLS's row and the gradient of a function of both, in float32."""

    def attend(qkv: Array) -> tuple[Array, Array]:
        if attention == "plain":
            attended, weights = plain_attention(qkv, heads=spec.heads)
            return attended, weights[:, :, 0].mean(1)
        return training_attention(qkv, heads=spec.heads, implementation=attention)

    @jax.jit
    def run(qkv: Array) -> tuple[Array, ...]:
        with matmul_precision(spec):
            outputs, pull = jax.vjp(attend, qkv)
            # The outputs as cotangents, the gradient of half the sum of squares: they differ between tokens.
            return *outputs, *pull(outputs)

    return [np.asarray(array, np.float32) for array in run(qkv)]

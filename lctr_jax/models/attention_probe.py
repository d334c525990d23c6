"""Try a platform's fused attention on a device before a program relies on it.

What a driver, an engine library or a kernel's compiler refuses shows only there. The trial is small, two
images of random numbers, but has the head width, heads, tokens and data type of the real program.
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
"""Of the largest number. Rounding to 16 bits stays below a fifth of it; an attention to the padding, or one
that scales its scores otherwise, is above."""


@functools.cache
def attention_refusal(spec: ModelSpec, device: Device) -> str | None:
    """Why the spec's fused attention cannot be relied on there, in one line; None where it can.

    Forward and backward are compiled and run on `device`, and compared with plain attention.
    """
    if spec.attention in ("plain", "cpu"):
        return None  # of products and a softmax alone, which every platform has
    shape = (_IMAGES, spec.tokens, 3 * spec.width)
    numbers = np.random.default_rng(0).normal(size=shape)
    qkv = jax.device_put(jnp.asarray(numbers, spec.dtype), device)
    try:
        got = _values_and_gradients(spec, spec.attention, qkv)
    except Exception as error:  # whatever a compiler or a driver raises
        return " ".join(str(error).split())[:300] or type(error).__name__
    expected = _values_and_gradients(spec, "plain", qkv)
    errors = [_relative_error(*pair) for pair in zip(got, expected, strict=True)]
    if all(error <= _TOLERANCE for error in errors):  # false for NaN, too
        return None
    return f"differs from plain attention by {np.max(errors):.1%}"


def _relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def _values_and_gradients(
    spec: ModelSpec, attention: str, qkv: Float[Array, "batch tokens width3"]
) -> list[np.ndarray]:
    """Attended values, CLS's row, and the gradient of a function of both; float32."""

    def attend(qkv: Array) -> tuple[Array, Array]:
        if attention == "plain":
            attended, weights = plain_attention(qkv, heads=spec.heads)
            return attended, weights[:, :, 0].mean(1)
        return training_attention(qkv, heads=spec.heads, implementation=attention)

    @jax.jit
    def run(qkv: Array) -> tuple[Array, ...]:
        with matmul_precision(spec):
            outputs, pull = jax.vjp(attend, qkv)
            # The slope of a sum of squares: it differs from token to token, as a loss's does.
            return *outputs, *pull(outputs)

    return [np.asarray(array, np.float32) for array in run(qkv)]

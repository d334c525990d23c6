"""Attention as training needs it: the attended values and CLS's row of the weights, in each platform's way.

On a TPU a kernel of ours gives both and never writes its scores to memory. On a GPU cuDNN gives the values,
and CLS's row, a two-hundredth of the work, is made beside. On a CPU every core attends to images of its own.
"""

import math
import os
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32

from lctr_jax.models.attention_kernel import MAX_TOKENS, attention_kernel
from lctr_jax.models.plain_attention import plain_attention

Implementation = Literal["tpu", "cpu", "cudnn", "xla"]

_MAX_PARTS = 8  # of a batch on a CPU: each is compiled by itself


def choose_implementation(
    asked: str, *, tokens: int, head_width: int, dtype: DTypeLike
) -> Implementation | None:
    """Which implementation `model.attention` means for this input; None for the plain one.

    "auto" takes the default device's; cuDNN knows 16-bit numbers only, and the TPU kernel short sequences.
    """
    match asked, jax.default_backend():
        case ("tpu", _) | ("auto", "tpu") if tokens <= MAX_TOKENS:
            return "tpu"
        case ("auto", "gpu") if dtype == jnp.bfloat16 and _cudnn_attends(head_width):
            return "cudnn"
        case ("auto", "cpu"):
            return "cpu"
        case "cpu" | "xla" | "cudnn", _:
            return asked
    return None


def training_attention(
    qkv: Float[Array, "batch tokens width3"], *, heads: int, implementation: Implementation
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """Attended values of all heads, and CLS's attention, mean over heads.

    `implementation`: "xla" is what "cudnn" computes, on any platform.
    """
    if implementation == "tpu":
        return _on_each_device(lambda rows: attention_kernel(rows, heads), qkv)
    if implementation == "cpu":
        return _on_each_device(lambda rows: _attend_in_parts(rows, heads), qkv)
    batch, tokens, width3 = qkv.shape
    query, key, value = jnp.moveaxis(qkv.reshape(batch, tokens, 3, heads, -1), 2, 0)
    attended = jax.nn.dot_product_attention(query, key, value, implementation=implementation)
    scores = jnp.einsum("bhd,bkhd->bhk", query[:, 0], key, preferred_element_type=jnp.float32)
    cls = jax.nn.softmax(scores * query.shape[-1] ** -0.5, axis=-1).mean(1)
    return attended.reshape(batch, tokens, width3 // 3), cls


def _attend_in_parts(
    qkv: Float[Array, "batch tokens width3"], heads: int
) -> tuple[Float[Array, "batch tokens width"], Float32[Array, "batch tokens"]]:
    """The plain form on equal parts of the batch.

    XLA computes a product of many small matrices on one core, but products that do not need each other side
    by side.
    """
    parts = jnp.split(qkv, math.gcd(len(qkv), min(os.cpu_count() or 1, _MAX_PARTS)))
    attended, weights = zip(*(plain_attention(part, heads=heads) for part in parts), strict=True)
    return jnp.concatenate(attended), jnp.concatenate([part[:, :, 0].mean(1) for part in weights])


def _cudnn_attends(head_width: int) -> bool:
    """Whether cuDNN's attention runs here; it raises before NVIDIA's Ampere and for other head widths."""
    generation = jax.local_devices()[0].compute_capability.partition(".")[0]  # AMD's is such as "gfx90a"
    return generation.isdecimal() and int(generation) >= 8 and head_width % 8 == 0 and head_width <= 128


def _on_each_device(function: Callable[[Array], Any], rows: Array) -> Any:
    """Call on each device's rows of a batch: the compiler does not know how to split a kernel by itself."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_manual:
        return function(rows)
    batch = jax.P(mesh.axis_names)
    return jax.shard_map(function, mesh=mesh, in_specs=batch, out_specs=batch, check_vma=False)(rows)

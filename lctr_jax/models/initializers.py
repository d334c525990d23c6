"""Initializers of the network's parameters."""

import jax
import jax.numpy as jnp
from flax import nnx

from lctr_jax.models.spec import ModelSpec

initialize_embedding = nnx.initializers.truncated_normal(0.02)


def kernel_initializer(spec: ModelSpec) -> nnx.Initializer:
    """Return the initializer of dense and patch kernels.

    DeiT uses a fixed standard deviation of 0.02, which suits widths of 200 and more. In narrower networks
    (such as width 96) it makes the initial signal so small that training stays at chance level for hundreds
    of steps; "fan_in" (LeCun et al., 1998) avoids that.
    """
    if spec.initialization == "fan_in":
        return nnx.initializers.lecun_normal()
    return nnx.initializers.truncated_normal(0.02)


def uniform_initializer(*, fan_in: int) -> nnx.Initializer:
    """Return PyTorch's initializer of a convolution's kernel and bias: uniform within 1 / sqrt(fan-in)."""
    bound = fan_in**-0.5

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialize

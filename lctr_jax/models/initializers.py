"""How fresh arrays are drawn."""

import jax
import jax.numpy as jnp
from flax import nnx

from lctr_jax.models.spec import ModelSpec

initialize_embedding = nnx.initializers.truncated_normal(0.02)


def kernel_initializer(spec: ModelSpec) -> nnx.Initializer:
    """Of dense and patch kernels: DeiT's fixed standard deviation, or one by fan-in (LeCun et al., 1998).

    A standard deviation of 0.02 suits widths of 200 and more; a network of width 96 hardly passes its signal
    on at first and spends hundreds of steps at the loss of a guess.
    """
    if spec.initialization == "fan_in":
        return nnx.initializers.lecun_normal()
    return nnx.initializers.truncated_normal(0.02)


def uniform_initializer(*, fan_in: int) -> nnx.Initializer:
    """Of a head's convolutions, as torch draws kernel and bias: uniform within 1 / sqrt(fan-in)."""
    bound = fan_in**-0.5

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialize

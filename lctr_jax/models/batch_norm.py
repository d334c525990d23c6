"""BatchNorm (Ioffe and Szegedy, ICML 2015) as in PyTorch, over all devices of a training step."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32

_EPSILON = 1e-5
_MOMENTUM = 0.1


class BatchNorm(nnx.Module):
    """Normalization of each channel over batch and positions, with an unbiased running variance."""

    def __init__(self, channels: int):
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    def __call__(
        self, maps: Float32[Array, "batch grid_h grid_w channels"], *, training: bool
    ) -> Float32[Array, "batch grid_h grid_w channels"]:
        """Normalize by the running statistics or, in training, by those of the global batch.

        Training also updates the running statistics. Inside `jax.shard_map`, the global batch is that of all
        devices.
        """
        mean, variance = self._update(maps) if training else (self.mean[...], self.var[...])
        scale = self.scale[...] * jax.lax.rsqrt(variance + _EPSILON)
        shift = self.bias[...] - mean * scale
        return maps * scale[None, None, None] + shift[None, None, None]

    def _update(self, maps: Array) -> tuple[Array, Array]:
        axes = _exchanged_axes()
        mean = _mean_over(maps.mean((0, 1, 2)), axes)
        variance = _mean_over(jnp.square(maps - mean[None, None, None]).mean((0, 1, 2)), axes)
        count = maps.size // maps.shape[-1] * math.prod(jax.lax.axis_size(axis) for axis in axes)
        unbiased = variance * (count / max(count - 1, 1))
        for running, found in ((self.mean, mean), (self.var, unbiased)):
            running[...] = (1 - _MOMENTUM) * running[...] + _MOMENTUM * jax.lax.stop_gradient(found)
        return mean, variance


def _exchanged_axes() -> tuple[str, ...]:
    """Return the mesh axes with several devices that `jax.shard_map` splits; none outside of it."""
    mesh = jax.sharding.get_abstract_mesh()
    return tuple(axis for axis in mesh.manual_axes if mesh.shape[axis] > 1)


def _mean_over(array: Array, axes: tuple[str, ...]) -> Array:
    return jax.lax.pmean(array, axes) if axes else array

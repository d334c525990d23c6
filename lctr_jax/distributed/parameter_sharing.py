"""Explicit FSDP (Zhao et al., 2023): computing with sharded parameters.

For use inside `jax.shard_map` over the mesh. Each kernel is gathered from the devices of axis `fsdp` where it
is used, those of stacked blocks inside the scan over blocks; its gradient is summed over all devices and
scattered back. Without this, XLA may exchange activations instead, which are many times larger.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lctr_jax.distributed.mesh import BATCH_AXES, STACKED, state_shardings

Tree = dict[str, Any]  # nested by module name, like the parameters


@dataclass(frozen=True)
class ParameterSharing:
    """How parameters are sharded, and the data type in which each is used.

    Attributes:
        devices: number of devices of the mesh.
        axes: for every parameter, the axis that `fsdp` shards, as a negative number; 0 if it is replicated.
        dtypes: for every parameter, the data type in which the network uses it; it and its gradient are
            exchanged in that type.
    """

    devices: int
    axes: Tree
    dtypes: Tree

    def gather(self, parameters: Tree) -> Tree:
        """Gather all parameters from this device's shards, except stacked kernels (see `gather_layer`).

        Stacked vectors are gathered here, for all layers at once.
        """

        def whole(path: tuple[Any, ...], parameter: Array, axis: int, dtype: DTypeLike) -> Array:
            stacked = any(key.key == STACKED for key in path)
            if stacked and parameter.ndim > 2:
                return parameter
            return _whole(parameter, axis, dtype)

        return jax.tree.map_with_path(whole, parameters, self.axes, self.dtypes)

    def gather_layer(self, layer: Tree) -> Tree:
        """Gather the kernels of one block from this device's shards; its vectors are complete already."""

        def whole(parameter: Array, axis: int, dtype: DTypeLike) -> Array:
            return _whole(parameter, axis, dtype) if parameter.ndim > 1 else parameter

        return jax.tree.map(whole, layer, *(tree["backbone"][STACKED] for tree in (self.axes, self.dtypes)))


def parameter_sharing(mesh: Mesh, parameters: Tree, dtypes: Tree) -> ParameterSharing:
    """Return the sharing of parameters that are placed by `state_shardings`."""

    def axis(parameter: Array, sharding: jax.NamedSharding) -> int:
        spec = tuple(sharding.spec)
        return spec.index("fsdp") - parameter.ndim if "fsdp" in spec else 0

    axes = jax.tree.map(axis, parameters, state_shardings(mesh, parameters))
    return ParameterSharing(mesh.size, axes, dtypes)


def _whole(parameter: Float[Array, "*part"], axis: int, dtype: DTypeLike) -> Float[Array, "*whole"]:
    part = parameter.astype(dtype)
    if not axis:
        return _on_each_device(part, BATCH_AXES)
    # The transpose of all_gather scatters the sum of the gradients over `fsdp`.
    return jax.lax.all_gather(_on_each_device(part, ("data",)), "fsdp", axis=axis + part.ndim, tiled=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _on_each_device(array: Float[Array, "*shape"], axes: tuple[str, ...]) -> Float[Array, "*shape"]:
    """Mark an array as replicated along `axes`: its gradient is the sum of all devices' gradients."""
    return array


_on_each_device.defvjp(lambda array, _: (array, None), lambda axes, _, gradient: (sum_over(gradient, axes),))


def sum_over(tree: Any, axes: tuple[str, ...] = BATCH_AXES) -> Any:
    """Sum arrays over devices; axes of size 1 are skipped, because XLA:CPU would still copy the data."""
    return jax.lax.psum(tree, tuple(axis for axis in axes if jax.lax.axis_size(axis) > 1))

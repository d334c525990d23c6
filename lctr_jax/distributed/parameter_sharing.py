"""How devices that split the parameters compute with whole ones: FSDP (Zhao et al., 2023), written out.

For use inside `jax.shard_map` over the mesh. Each kernel is gathered from the devices of axis `fsdp` where it
is used, a stacked block's inside the scan over blocks, and its gradient is summed over all devices and
scattered back. The compilers, left to choose, may move activations instead, which are many times larger.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lctr_jax.distributed.mesh import BATCH_AXES, STACKED, state_shardings

Tree = dict[str, Any]  # nested by module name, as the parameters are


@dataclass(frozen=True)
class ParameterSharing:
    """Who holds what of the parameters, and in which type each is read.

    Attributes:
        devices: of the whole mesh.
        axes: for every parameter the axis along which `fsdp` splits it, a negative number; 0: it is copied.
        dtypes: for every parameter the type in which the network reads it first. It crosses in that type, and
            so does its gradient.
    """

    devices: int
    axes: Tree
    dtypes: Tree

    def gather(self, parameters: Tree) -> Tree:
        """From this device's part to all parameters, but the stacked kernels, which `gather_layer` takes.

        Stacked vectors cross here, all layers at once.
        """

        def whole(path: tuple[Any, ...], parameter: Array, axis: int, dtype: DTypeLike) -> Array:
            stacked = any(key.key == STACKED for key in path)
            if stacked and parameter.ndim > 2:
                return parameter
            return _whole(parameter, axis, dtype)

        return jax.tree.map_with_path(whole, parameters, self.axes, self.dtypes)

    def gather_layer(self, layer: Tree) -> Tree:
        """From this device's part of one block's kernels to the whole; vectors are whole already."""

        def whole(parameter: Array, axis: int, dtype: DTypeLike) -> Array:
            return _whole(parameter, axis, dtype) if parameter.ndim > 1 else parameter

        return jax.tree.map(whole, layer, *(tree["backbone"][STACKED] for tree in (self.axes, self.dtypes)))


def parameter_sharing(mesh: Mesh, parameters: Tree, dtypes: Tree) -> ParameterSharing:
    """The sharing of parameters that are placed by `state_shardings`."""

    def axis(parameter: Array, sharding: jax.NamedSharding) -> int:
        spec = tuple(sharding.spec)
        return spec.index("fsdp") - parameter.ndim if "fsdp" in spec else 0

    axes = jax.tree.map(axis, parameters, state_shardings(mesh, parameters))
    return ParameterSharing(mesh.size, axes, dtypes)


def _whole(parameter: Float[Array, "*part"], axis: int, dtype: DTypeLike) -> Float[Array, "*whole"]:
    part = parameter.astype(dtype)
    if not axis:
        return _on_each_device(part, BATCH_AXES)
    # Its transpose scatters the gradient's sum over `fsdp`.
    return jax.lax.all_gather(_on_each_device(part, ("data",)), "fsdp", axis=axis + part.ndim, tiled=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _on_each_device(array: Float[Array, "*shape"], axes: tuple[str, ...]) -> Float[Array, "*shape"]:
    """An array that the devices along `axes` have copies of: its gradient is the sum of theirs."""
    return array


_on_each_device.defvjp(lambda array, _: (array, None), lambda axes, _, gradient: (sum_over(gradient, axes),))


def sum_over(tree: Any, axes: tuple[str, ...] = BATCH_AXES) -> Any:
    """The sum of all devices' arrays; of a lone device its own, which XLA:CPU would exchange all the same."""
    return jax.lax.psum(tree, tuple(axis for axis in axes if jax.lax.axis_size(axis) > 1))

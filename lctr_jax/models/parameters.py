"""A network's arrays as a nested dict, separate from the module that uses them.

Training, checkpoints and converters work with this dict; `bind` makes a callable network of it.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Key

from lctr_jax.models.execution import portable, require_resolved
from lctr_jax.models.methods import get_method
from lctr_jax.models.network import Network
from lctr_jax.models.spec import ModelSpec

Parameters = dict[str, Any]  # nested by module name; leaves are float32 arrays

_STORED = (nnx.Param, nnx.BatchStat)  # the kinds of variables that a network may have
_KERNELS = {"kernel", "kernels"}


def initialize(spec: ModelSpec, key: Key[Array, ""]) -> Parameters:
    """Initialize parameters as published (each module documents its distribution)."""
    return _initialize(portable(spec), key)


def bind(
    spec: ModelSpec, parameters: Parameters, *, gather_layer: Callable[[Parameters], Parameters] | None = None
) -> Network:
    """Return the network with these parameters, which may be traced arrays.

    Args:
        spec: the network.
        parameters: as from `initialize`.
        gather_layer: for parameters sharded over devices: returns a block's full parameters, given this
            device's shards.

    Raises:
        ValueError: an option of the spec is "auto" (see `execution.resolve`).
    """
    require_resolved(spec)
    graph, state = _structure(spec)
    state = jax.tree.map(lambda leaf: leaf, state)  # a copy, since the cached state must stay abstract
    nnx.replace_by_pure_dict(state, parameters)
    network = nnx.merge(graph, state)
    network.backbone.gather_layer = gather_layer
    return network


def parameter_shapes(spec: ModelSpec) -> Parameters:
    """Return the tree of `initialize` with a `jax.ShapeDtypeStruct` for every array."""
    return nnx.to_pure_dict(_structure(portable(spec))[1])


def split_trained(
    spec: ModelSpec, parameters: Parameters, *, freeze: str = ""
) -> tuple[Parameters, Parameters]:
    """Split into the parameters that the optimizer updates, and frozen modules and running statistics.

    `freeze` names a top-level module to freeze in addition to those that the method freezes.
    """
    flat = flatten_dict(parameters)
    trained = {
        path: flat[path] for path in flat if path in _trained_paths(portable(spec)) and path[0] != freeze
    }
    rest = {path: leaf for path, leaf in flat.items() if path not in trained}
    return unflatten_dict(trained), unflatten_dict(rest)


def merge(parameters: Parameters, others: Parameters) -> Parameters:
    """Merge two nested dicts; `others` takes precedence."""
    return unflatten_dict(flatten_dict(parameters) | flatten_dict(others)) if others else parameters


def restrict(parameters: Parameters, like: Parameters) -> Parameters:
    """Return the entries of `parameters` that `like` contains."""
    wanted = flatten_dict(like)
    return unflatten_dict({path: leaf for path, leaf in flatten_dict(parameters).items() if path in wanted})


def running_statistics(network: Network) -> Parameters:
    """Return a network's current running statistics (empty for most methods)."""
    return nnx.to_pure_dict(nnx.state(network, nnx.BatchStat))


def read_dtypes(spec: ModelSpec) -> Parameters:
    """Return the tree of `initialize` with the data type in which the network uses each array.

    A kernel is cast to its layer's compute type before use; all other arrays are used in float32.
    """
    network = nnx.merge(*_structure(spec))
    of_layers = {path: getattr(module, "dtype", None) for path, module in nnx.iter_modules(network)}

    def read(path: tuple[Any, ...], _: Any) -> jnp.dtype:
        *layer, name = (key.key for key in path)
        dtype = of_layers.get(tuple(layer)) if name in _KERNELS else None
        return jnp.dtype(dtype or jnp.float32)

    return jax.tree.map_with_path(read, parameter_shapes(spec))


def _network(spec: ModelSpec, rngs: nnx.Rngs) -> Network:
    return get_method(spec.method).network(spec, rngs=rngs)


@functools.partial(jax.jit, static_argnums=0)  # one program instead of one operation at a time
def _initialize(spec: ModelSpec, key: Array) -> Parameters:
    return nnx.to_pure_dict(nnx.state(_network(spec, nnx.Rngs(key)), _STORED))


@functools.cache
def _structure(spec: ModelSpec) -> tuple[nnx.GraphDef[Network], nnx.State]:
    return nnx.split(nnx.eval_shape(lambda: _network(spec, nnx.Rngs(0))), _STORED)


@functools.cache
def _trained_paths(spec: ModelSpec) -> frozenset[tuple[str, ...]]:
    abstract = nnx.eval_shape(lambda: _network(spec, nnx.Rngs(0)))
    parameters = flatten_dict(nnx.to_pure_dict(nnx.state(abstract, nnx.Param)))
    return frozenset(path for path in parameters if path[0] not in get_method(spec.method).frozen)

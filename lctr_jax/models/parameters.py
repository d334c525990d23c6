"""A network's parameters as a plain nested dict of arrays, apart from the module that reads them.

Training, checkpoints and converters pass this dict around; `bind` turns it back into a callable module.
"""

import functools
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Key

from lctr_jax.models.cam import CAM
from lctr_jax.models.deit import DeiT
from lctr_jax.models.lctr import LCTR
from lctr_jax.models.rollout import Rollout
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.tscam import TSCAM

Network = LCTR | TSCAM | CAM | DeiT
Parameters = dict[str, Any]  # nested by module name; leaves are float32 arrays

_NETWORKS: dict[str, type[Network]] = {
    "lctr": LCTR,
    "lctr_without_rpam": LCTR,
    "lctr_without_cdm": TSCAM,
    "tscam": TSCAM,
    "rollout": Rollout,
    "cam": CAM,
    "deit": DeiT,
}


def initialize(spec: ModelSpec, key: Key[Array, ""]) -> Parameters:
    """Fresh parameters, as published (see the modules for each layer's distribution)."""
    return _initialize(spec, key)


def bind(spec: ModelSpec, parameters: Parameters) -> Network:
    """The network with these parameters, which may be traced arrays."""
    graph, state = _structure(spec)
    state = jax.tree.map(lambda leaf: leaf, state)  # a copy: the cached one stays abstract
    nnx.replace_by_pure_dict(state, parameters)
    return nnx.merge(graph, state)


def parameter_shapes(spec: ModelSpec) -> Parameters:
    """`initialize`'s tree with a `jax.ShapeDtypeStruct` for every array."""
    return nnx.to_pure_dict(_structure(spec)[1])


def _network(spec: ModelSpec, rngs: nnx.Rngs) -> Network:
    return _NETWORKS[spec.method](spec, rngs=rngs)


@functools.partial(jax.jit, static_argnums=0)  # one program instead of an operation at a time
def _initialize(spec: ModelSpec, key: Array) -> Parameters:
    return nnx.to_pure_dict(nnx.state(_network(spec, nnx.Rngs(key)), nnx.Param))


@functools.cache
def _structure(spec: ModelSpec) -> tuple[nnx.GraphDef[Network], nnx.State]:
    return nnx.split(nnx.eval_shape(lambda: _network(spec, nnx.Rngs(0))), nnx.Param)

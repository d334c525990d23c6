"""How a run computes: what the config leaves open is settled for the run's devices, tried there, and said."""

import dataclasses
from collections.abc import Callable

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from lctr_jax.models.attention_probe import attention_refusal
from lctr_jax.models.execution import describe_execution, device_kind, resolve, resolve_dtype
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig


def settle_dtype(config: RunConfig, mesh: Mesh) -> RunConfig:
    """The config with the data type that "auto" means on these devices.

    The run's folder records it, so that a run which goes on elsewhere goes on in the same numbers.
    """
    dtype = resolve_dtype(config.model["dtype"], device_kind(mesh.devices.flat))
    return dataclasses.replace(config, model={**config.model, "dtype": dtype})


def settle_execution(spec: ModelSpec, mesh: Mesh, say: Callable[[str], None]) -> ModelSpec:
    """The spec with nothing left open, its attention tried on this process's devices; says what it is.

    Attention that one of the processes cannot use is replaced by the plain one on all. Called by all of them.
    """
    spec = resolve(spec, device_kind(mesh.devices.flat))
    refusal = attention_refusal(spec, mesh.local_devices[0])
    if _anywhere(refusal is not None):
        say(f"{spec.attention} attention: {refusal or 'refused on another host'}; using plain attention")
        spec = dataclasses.replace(spec, attention="plain")
    say(f"computing with {describe_execution(spec)}")
    return spec


def _anywhere(here: bool) -> bool:
    """Whether it is so on any process."""
    return bool(multihost_utils.process_allgather(here).any()) if jax.process_count() > 1 else here

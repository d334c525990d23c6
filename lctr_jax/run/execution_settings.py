"""Resolution of a run's execution options ("auto") for its devices, with a test of the attention."""

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
    """Resolve the data type "auto" for these devices.

    The run's folder records it, so that a run resumed on other devices uses the same data type.
    """
    dtype = resolve_dtype(config.model["dtype"], device_kind(mesh.devices.flat))
    return dataclasses.replace(config, model={**config.model, "dtype": dtype})


def settle_execution(spec: ModelSpec, mesh: Mesh, say: Callable[[str], None]) -> ModelSpec:
    """Resolve all options, test the attention on this process's devices, and report the result.

    If one process cannot use the attention, all use plain attention. A collective call.
    """
    spec = resolve(spec, device_kind(mesh.devices.flat), fsdp=mesh.shape["fsdp"])
    refusal = attention_refusal(spec, mesh.local_devices[0])
    if _anywhere(refusal is not None):
        say(f"{spec.attention} attention: {refusal or 'refused on another host'}; using plain attention")
        spec = dataclasses.replace(spec, attention="plain")
    say(f"computing with {describe_execution(spec)}")
    return spec


def _anywhere(here: bool) -> bool:
    """Return whether the value is true on any process."""
    return bool(multihost_utils.process_allgather(here).any()) if jax.process_count() > 1 else here

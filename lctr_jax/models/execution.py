"""How a network is computed on the devices that a program is compiled for.

What "auto" means for data type, precision and attention is decided here, from the devices of the mesh and
before anything is traced: a program that is compiled for devices elsewhere is the one that runs there.
"""

import dataclasses
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import jax

from lctr_jax.models.attention_kernel import MAX_TOKENS
from lctr_jax.models.spec import ModelSpec

Device = Any  # `jax.Device`, which type checkers take for a variable

AMPERE = (8, 0)
"""NVIDIA's first generation with bfloat16 and with cuDNN's fused attention."""

_CHOSEN = ("dtype", "precision", "attention")  # the fields that may be "auto"
_MAX_CUDNN_HEAD_WIDTH = 128  # on every generation since Ampere


@dataclasses.dataclass(frozen=True)
class DeviceKind:
    """What a choice of data type and attention depends on.

    `platform`: "cpu", "gpu", "tpu" or another of JAX's. `compute_capability`: of an NVIDIA GPU, else None.
    """

    platform: str
    compute_capability: tuple[int, int] | None = None


def device_kind(devices: Iterable[Device]) -> DeviceKind:
    """The kind of these devices; of NVIDIA GPUs of several generations, the oldest."""
    devices = list(devices)
    capabilities = [found for device in devices if (found := _compute_capability(device))]
    platform = devices[0].platform
    return DeviceKind("gpu" if platform in ("cuda", "rocm") else platform, min(capabilities, default=None))


def resolve(spec: ModelSpec, kind: DeviceKind) -> ModelSpec:
    """The spec with every "auto" replaced by what suits such devices; what is explicit stays."""
    spec = dataclasses.replace(spec, dtype=resolve_dtype(spec.dtype, kind))
    if spec.precision == "auto":
        # In 16 bits, what is multiplied in float32 all the same has no more digits than that.
        precision = "highest" if spec.dtype == "float32" else "default"
        spec = dataclasses.replace(spec, precision=precision)
    if spec.attention == "auto":
        spec = dataclasses.replace(spec, attention=_choose_attention(spec, kind))
    return spec


def resolve_dtype(dtype: str, kind: DeviceKind) -> str:
    """What `model.dtype` means there.

    "auto" is bfloat16 where matrix units know it: on TPUs and on GPUs, NVIDIA's since Ampere. Older ones of
    NVIDIA's know float16. CPUs, and what we do not know, take float32.
    """
    if dtype != "auto":
        return dtype
    if kind.platform not in ("gpu", "tpu"):
        return "float32"
    older = kind.compute_capability is not None and kind.compute_capability < AMPERE
    return "float16" if older else "bfloat16"


def portable(spec: ModelSpec) -> ModelSpec:
    """The same network computed exactly and alike on every platform: float32, with plain attention."""
    return dataclasses.replace(spec, dtype="float32", precision="highest", attention="plain")


def matmul_precision(spec: ModelSpec) -> AbstractContextManager[Any]:
    """A context in which a program of this spec is to be traced: its products have the spec's precision."""
    return jax.default_matmul_precision(spec.precision)


def require_resolved(spec: ModelSpec) -> None:
    """Refuse a spec that leaves open how it is computed.

    Raises:
        ValueError: a field is "auto".
    """
    for name in _CHOSEN:
        if getattr(spec, name) == "auto":
            raise ValueError(f"model.{name}: got 'auto', expected what execution.resolve makes of it")


def describe_execution(spec: ModelSpec) -> str:
    """How a resolved spec is computed, by its options."""
    return ", ".join(f"model.{name}={getattr(spec, name)}" for name in _CHOSEN)


def _choose_attention(spec: ModelSpec, kind: DeviceKind) -> str:
    """The platform's own attention where it takes this input, else the plain one."""
    if kind.platform == "cpu":
        return "cpu"
    if kind.platform == "tpu" and spec.tokens <= MAX_TOKENS:
        # What kernels do not know: https://docs.jax.dev/en/latest/pallas/tpu/details.html
        return "plain" if spec.dtype == "float16" or spec.precision == "high" else "tpu"
    if (kind.compute_capability or (0, 0)) >= AMPERE and spec.dtype in ("bfloat16", "float16"):
        width = spec.head_width
        return "cudnn" if width % 8 == 0 and width <= _MAX_CUDNN_HEAD_WIDTH else "plain"
    return "plain"


def _compute_capability(device: Device) -> tuple[int, int] | None:
    """Of an NVIDIA GPU; AMD's is such as "gfx90a"."""
    major, _, minor = str(getattr(device, "compute_capability", "")).partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None

"""Data type, matrix-product precision, attention and loop over blocks for the devices of a program.

"auto" is resolved from the devices of the mesh before anything is traced. A program compiled ahead of time
for other devices is therefore the one that runs there.
"""

import dataclasses
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import jax

from lctr_jax.models.attention_kernel import MAX_TOKENS
from lctr_jax.models.spec import ModelSpec

Device = Any  # `jax.Device`, which type checkers treat as a variable

AMPERE = (8, 0)
"""NVIDIA's first compute capability with bfloat16 and cuDNN's fused attention."""

_CHOSEN = ("dtype", "precision", "attention", "layer_loop")  # the fields that may be "auto"
_MAX_CUDNN_HEAD_WIDTH = 128  # on every generation since Ampere


@dataclasses.dataclass(frozen=True)
class DeviceKind:
    """The properties of devices that determine data type and attention.

    Attributes:
        platform: "cpu", "gpu", "tpu" or another JAX platform.
        compute_capability: of an NVIDIA GPU, otherwise None.
    """

    platform: str
    compute_capability: tuple[int, int] | None = None


def device_kind(devices: Iterable[Device]) -> DeviceKind:
    """Return the kind of these devices; for NVIDIA GPUs of several generations, that of the oldest."""
    devices = list(devices)
    capabilities = [found for device in devices if (found := _compute_capability(device))]
    platform = devices[0].platform
    return DeviceKind("gpu" if platform in ("cuda", "rocm") else platform, min(capabilities, default=None))


def resolve(spec: ModelSpec, kind: DeviceKind, *, fsdp: int = 1) -> ModelSpec:
    """Replace every "auto" of the spec by the choice for such devices; explicit values are kept.

    Args:
        spec: the network.
        kind: the devices.
        fsdp: number of devices that share one copy of the parameters.
    """
    spec = dataclasses.replace(spec, dtype=resolve_dtype(spec.dtype, kind))
    if spec.precision == "auto":
        # With 16-bit operands, float32 products gain nothing from more digits.
        precision = "highest" if spec.dtype == "float32" else "default"
        spec = dataclasses.replace(spec, precision=precision)
    if spec.attention == "auto":
        spec = dataclasses.replace(spec, attention=_choose_attention(spec, kind))
    if spec.layer_loop == "auto":
        spec = dataclasses.replace(spec, layer_loop=_choose_loop(spec, kind, fsdp))
    return spec


def inference_compiler_options(kind: DeviceKind) -> dict[str, bool]:
    """Return XLA's options for forward passes on such devices; options in the variable XLA_FLAGS come first.

    On an H100, cuBLAS alone was faster in evaluation than with XLA's Triton products, whose search for tile
    sizes takes half of the compilation time. In training, they save a twentieth of the step.
    """
    triton = "xla_gpu_enable_triton_gemm"
    chosen = kind.compute_capability is not None and triton not in os.environ.get("XLA_FLAGS", "")
    return {triton: False} if chosen else {}


def resolve_dtype(dtype: str, kind: DeviceKind) -> str:
    """Return the data type for such devices.

    "auto" is bfloat16 where matrix units support it (TPUs, GPUs, NVIDIA since Ampere), float16 on older
    NVIDIA GPUs, and float32 on CPUs and unknown platforms.
    """
    if dtype != "auto":
        return dtype
    if kind.platform not in ("gpu", "tpu"):
        return "float32"
    older = kind.compute_capability is not None and kind.compute_capability < AMPERE
    return "float16" if older else "bfloat16"


def portable(spec: ModelSpec) -> ModelSpec:
    """Return the spec with float32 and plain attention, which every platform computes alike."""
    return dataclasses.replace(
        spec, dtype="float32", precision="highest", attention="plain", layer_loop="scan"
    )


def matmul_precision(spec: ModelSpec) -> AbstractContextManager[Any]:
    """Return the context manager that gives traced matrix products the spec's precision."""
    return jax.default_matmul_precision(spec.precision)


def require_resolved(spec: ModelSpec) -> None:
    """Refuse a spec with unresolved options.

    Raises:
        ValueError: a field is "auto".
    """
    for name in _CHOSEN:
        if getattr(spec, name) == "auto":
            raise ValueError(f"model.{name}: got 'auto', expected a value resolved by execution.resolve")


def describe_execution(spec: ModelSpec) -> str:
    """Format the resolved options, e.g. `model.dtype=float32, model.precision=highest, ...`."""
    return ", ".join(f"model.{name}={getattr(spec, name)}" for name in _CHOSEN)


def _choose_attention(spec: ModelSpec, kind: DeviceKind) -> str:
    """Return the fused attention of the platform if it supports the spec, otherwise "plain"."""
    if kind.platform == "cpu":
        return "cpu"
    if kind.platform == "tpu" and spec.tokens <= MAX_TOKENS:
        # Limits of Pallas kernels: https://docs.jax.dev/en/latest/pallas/tpu/details.html
        return "plain" if spec.dtype == "float16" or spec.precision == "high" else "tpu"
    if (kind.compute_capability or (0, 0)) >= AMPERE and spec.dtype in ("bfloat16", "float16"):
        width = spec.head_width
        return "cudnn" if width % 8 == 0 and width <= _MAX_CUDNN_HEAD_WIDTH else "plain"
    return "plain"


def _choose_loop(spec: ModelSpec, kind: DeviceKind, fsdp: int) -> str:
    """Return "unroll" for GPUs, unless a loop saves memory that was asked for.

    A loop holds the gathered parameters of one block at a time (`fsdp`), and only the inputs of all blocks
    (`rematerialize="blocks"`).
    """
    short_of_memory = fsdp > 1 or spec.rematerialize == "blocks"
    return "unroll" if kind.platform == "gpu" and not short_of_memory else "scan"


def _compute_capability(device: Device) -> tuple[int, int] | None:
    """Return an NVIDIA GPU's compute capability; None for others (AMD reports e.g. "gfx90a")."""
    major, _, minor = str(getattr(device, "compute_capability", "")).partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None

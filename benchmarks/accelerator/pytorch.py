"""Our steps and those of a PyTorch LCTR on the same device, alternating in one process."""

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.accelerator.scale import Scale
from benchmarks.accelerator.speed import median_seconds, prepare_evaluation, prepare_training
from benchmarks.programs import published_spec
from benchmarks.sides import torch_evaluation, torch_training

KINDS = ("training", "evaluation")
VARIANTS = ("eager", "compiled blocks")
"""As published, and with `torch.compile` on every transformer block."""


def share_memory() -> None:
    """Let JAX allocate on demand, so that PyTorch has room; call it before JAX's first use of the device."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def cases(scale: Scale) -> list[Any]:
    """Return the (size, images, dtype, kind, variant) cases."""
    return [
        (size, images, dtype, kind, variant)
        for variant in VARIANTS
        for dtype in scale.dtypes
        for kind in KINDS
        for size, images in scale.backbones
    ]


def compare(scale: Scale, case: Any) -> list[str]:
    """Measure both sides of a case on one device.

    Raises:
        ModuleNotFoundError: PyTorch is not installed, or without support for this device.
    """
    size, images, dtype, kind, variant = case
    device = torch_device()
    spec = published_spec(size, classes=scale.classes, dtype=dtype)
    prepare = prepare_training if kind == "training" else prepare_evaluation
    ours, _, _ = prepare(spec, images, scale)
    side = torch_training if kind == "training" else torch_evaluation
    theirs = side(
        images, scale.classes, size, dtype, device=device, compile_blocks=variant == "compiled blocks"
    )
    pairs = _alternate(ours, theirs, rounds=scale.rounds)
    ratio = float(np.median([second / first for first, second in pairs]))
    ours_ms, theirs_ms = (1000 * float(np.median(times)) for times in zip(*pairs, strict=True))
    return [size, dtype, str(images), kind, variant, f"{ours_ms:.1f}", f"{theirs_ms:.1f}", f"{ratio:.2f}"]


def torch_device() -> str:
    """Return PyTorch's name of the device that JAX uses.

    Raises:
        ModuleNotFoundError: PyTorch is not installed, or without support for this device.
    """
    device = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("PyTorch is not installed")
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        raise ModuleNotFoundError(f"PyTorch is installed without support for {device}")
    return device


def _alternate(
    ours: Callable[[], Any], theirs: Callable[[], Any], *, rounds: int
) -> list[tuple[float, float]]:
    """Return `rounds` pairs of seconds; each side is warmed up before each of its measurements."""
    theirs()  # compiles
    return [(median_seconds(ours, rounds=1), median_seconds(theirs, rounds=1)) for _ in range(rounds)]

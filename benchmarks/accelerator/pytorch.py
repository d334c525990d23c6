"""Our steps and those of a PyTorch LCTR on the same device, alternating in one process."""

import importlib.util
from typing import Any

import jax

from benchmarks.accelerator.scale import Scale
from benchmarks.accelerator.speed import prepare_evaluation, prepare_training
from benchmarks.measurement import show, summarize, summarize_ratio, time_interleaved
from benchmarks.programs import published_spec
from benchmarks.sides import torch_evaluation, torch_training

KINDS = ("training", "evaluation")
VARIANTS = ("eager", "compiled blocks")
"""As published, and with `torch.compile` on every transformer block."""


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
    times = time_interleaved({"ours": ours, "torch": theirs}, rounds=scale.rounds)
    ratio = summarize_ratio(times["torch"], times["ours"])["median"]
    milliseconds = [show(1000 * summarize(times[side])["median"], 1) for side in ("ours", "torch")]
    return [size, dtype, str(images), kind, variant, *milliseconds, show(ratio)]


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

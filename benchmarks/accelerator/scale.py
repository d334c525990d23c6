"""Sizes of the measurements: full on an accelerator, small on a CPU."""

from dataclasses import dataclass

import jax


@dataclass(frozen=True)
class Scale:
    """Sizes of all measurements.

    Attributes:
        networks: networks compared with golden files.
        sizes: timed networks, with images per device.
        dtypes: data types of timed networks.
        rematerialize: timed settings.
        classes: number of classes of timed networks.
        rounds: rounds per timing.
        matmul_side: side of the square matrices used to measure the peak rate.
        images: images per measurement of the input pipeline.
        epochs: of the digits.
        train_split: of the digits.
    """

    networks: tuple[str, ...]
    backbones: tuple[tuple[str, int], ...]
    dtypes: tuple[str, ...]
    rematerialize: tuple[str, ...]
    classes: int
    rounds: int
    matmul_side: int
    images: int
    epochs: int
    train_split: str


FULL = Scale(
    networks=("tiny", "small"),
    backbones=(("deit_small", 128), ("deit_tiny", 256), ("deit_base", 64)),
    dtypes=("bfloat16", "float32"),
    rematerialize=("elementwise", "nothing", "blocks"),
    classes=200,
    rounds=10,
    matmul_side=8192,
    images=6000,
    epochs=6,
    train_split="train",
)
SMALL = Scale(
    networks=("tiny",),
    backbones=(("deit_tiny", 4),),
    dtypes=("float32",),
    rematerialize=("elementwise", "blocks"),
    classes=20,
    rounds=2,
    matmul_side=1024,
    images=300,
    epochs=1,
    train_split="train[:20%]",
)


def implementations() -> list[str]:
    """Return the attention implementations available on this kind of device, except plain."""
    return {"cpu": ["cpu", "xla"], "tpu": ["tpu", "xla"], "gpu": ["cudnn", "xla"]}[jax.default_backend()]

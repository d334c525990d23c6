"""How much is tried: everything on an accelerator, little on a CPU."""

from dataclasses import dataclass

import jax


@dataclass(frozen=True)
class Scale:
    """The sizes of everything that is tried.

    Attributes:
        networks: of the goldens.
        sizes: of the networks that are timed, each with its images per device.
        dtypes: of the networks that are timed.
        rematerialize: settings that are timed.
        classes: of the networks that are timed.
        rounds: of each timing.
        matmul_side: of the square matrices that the peak is measured with.
        images: that the input pipeline makes per measurement.
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
    """The attentions that a device of this kind may run, apart from the plain one."""
    return {"cpu": ["cpu", "xla"], "tpu": ["tpu", "xla"], "gpu": ["cudnn", "xla"]}[jax.default_backend()]

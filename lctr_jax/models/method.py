"""The declaration of a localization method (docs/extending.md)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lctr_jax.models.torch_layout import TorchLayout

if TYPE_CHECKING:
    from lctr_jax.models.network import Network


def recognize_nothing(tensors: Mapping[str, np.ndarray]) -> dict[str, int] | None:
    """Return None: the default of `Method.recognize`, for a method without published files."""
    del tensors
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """A localization method: the network on top of the shared backbone.

    Attributes:
        network: called as `network(spec, rngs=rngs)`; usually a subclass of `Network`.
        description: one line for lists of methods.
        head: name of the trained parameters. Methods with the same head have the same parameters and
            training, differ only in their maps, and can load each other's checkpoints.
        torch_names: for each array outside the backbone, by dotted path, its PyTorch name and axis order.
        recognize: called with the tensors of a PyTorch file of unknown origin; returns the fields of
            `ModelSpec` to set (such as `num_classes`) if they are of this method, else None.
        frozen: top-level modules, such as "backbone", whose parameters training does not change.
        class_head: top-level modules whose learning rate `train.lr_multiplier` multiplies; by default all
            outside the backbone.
        compared: whether `lctr_jax.ablate` includes the method by default.
    """

    network: Callable[..., "Network"]
    description: str
    head: str
    torch_names: Mapping[str, TorchLayout]
    recognize: Callable[[Mapping[str, np.ndarray]], dict[str, Any] | None] = recognize_nothing
    frozen: tuple[str, ...] = field(default=())
    class_head: tuple[str, ...] = field(default=())
    compared: bool = True

"""Correspondence between our arrays and PyTorch tensors: names and axis order."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class TorchLayout(NamedTuple):
    """A PyTorch tensor's name, and the axis order that converts it to ours (None: unchanged).

    A name with `{}` stands for one tensor per block; they are stacked along a leading layer axis.
    """

    name: str
    axes: tuple[int, ...] | None = None


def linear(ours: str, torch: str) -> dict[str, TorchLayout]:
    """Return the layouts that map a `torch.nn.Linear` to an `nnx.Linear`."""
    return {
        f"{ours}.kernel": TorchLayout(f"{torch}.weight", (1, 0)),
        f"{ours}.bias": TorchLayout(f"{torch}.bias"),
    }


def conv(ours: str, torch: str) -> dict[str, TorchLayout]:
    """Return the layouts that map a `torch.nn.Conv2d` to a 2-D `nnx.Conv`."""
    return {
        f"{ours}.kernel": TorchLayout(f"{torch}.weight", (2, 3, 1, 0)),
        f"{ours}.bias": TorchLayout(f"{torch}.bias"),
    }


def norm(ours: str, torch: str) -> dict[str, TorchLayout]:
    """Return the layouts of scale and bias of a LayerNorm or BatchNorm."""
    return {f"{ours}.scale": TorchLayout(f"{torch}.weight"), f"{ours}.bias": TorchLayout(f"{torch}.bias")}


def batch_statistics(ours: str, torch: str) -> dict[str, TorchLayout]:
    """Return the layouts of a BatchNorm's running statistics."""
    return {
        f"{ours}.mean": TorchLayout(f"{torch}.running_mean"),
        f"{ours}.var": TorchLayout(f"{torch}.running_var"),
    }


def shape_of(tensors: Mapping[str, np.ndarray], name: str, *, rank: int) -> tuple[int, ...]:
    """Return the shape of a tensor that the file is expected to contain.

    Raises:
            ValueError: there is no such tensor, or its number of dimensions differs.
    """
    if name not in tensors:
        found = ", ".join(list(tensors)[:5])
        raise ValueError(
            f"got no tensor {name!r}, expected a ViT, DeiT or LCTR; the file starts with {found}"
        )
    if tensors[name].ndim != rank:
        raise ValueError(f"{name}: got shape {list(tensors[name].shape)}, expected {rank} dimensions")
    return tensors[name].shape

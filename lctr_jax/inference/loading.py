"""Load a checkpoint for use: images in, logits and maps out."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import find_checkpoint, load_weights, require_whole
from lctr_jax.models.execution import device_kind, matmul_precision, resolve
from lctr_jax.models.output import Output
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec

if TYPE_CHECKING:
    from lctr_jax.inference.result import Prediction


@dataclass(frozen=True)
class LoadedModel:
    """A trained network with its checkpoint's metadata; call it on images.

    Attributes:
        parameters: of the network, on the device.
        metadata: of the checkpoint.
        dtype: compute type, a value of `model.dtype`.
        folder: folder of the checkpoint's items; None if the network was not loaded from disk.
    """

    parameters: Parameters
    metadata: Metadata
    dtype: str = "auto"
    folder: Path | None = None

    def __call__(self, images: Array | np.ndarray, classes: Array | np.ndarray | None = None) -> Output:
        """Compute logits and maps; compiled once for each shape of the images.

        Args:
            images: float [batch, height, width, 3], normalized with ImageNet's mean and standard deviation
                (`lctr_jax.normalize`).
            classes: [batch] or [batch, asked], classes whose maps are returned; -1, the default, is the
                predicted class.

        Raises:
            ValueError: the images or classes have another form.
        """
        if images.ndim != 4 or images.shape[-1] != 3 or not jnp.issubdtype(images.dtype, jnp.floating):
            raise ValueError(
                f"images: got {images.dtype} {list(images.shape)}, expected normalized float32 "
                "[batch, height, width, 3]"
            )
        if classes is not None:
            self._check_classes(np.asarray(classes), len(images))
        return _forward(self._execution(), self.parameters, jnp.asarray(images, jnp.float32), classes)

    def localize(self, images: Any, **options: Any) -> "list[Prediction]":
        """Localize in images; `inference.localize.localize` describes sources, options and result."""
        from lctr_jax.inference.localize import localize  # it imports this module

        return localize(self, images, **options)

    @property
    def spec(self) -> ModelSpec:
        """Hyperparameters of the network."""
        return self.metadata.spec

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name per class, or None if the checkpoint has none."""
        return self.metadata.class_names

    def _execution(self) -> ModelSpec:
        """Return the resolved spec for the parameters' devices; fused attention is for training only."""
        spec = replace(self.spec, dtype=self.dtype, precision="auto", attention="plain")
        return resolve(spec, device_kind(jax.tree.leaves(self.parameters)[0].devices()))

    def _check_classes(self, classes: np.ndarray, batch: int) -> None:
        if (
            classes.ndim not in (1, 2)
            or len(classes) != batch
            or not np.issubdtype(classes.dtype, np.integer)
        ):
            raise ValueError(
                f"classes: got {classes.dtype} {list(classes.shape)}, "
                f"expected integers [{batch}] or [{batch}, asked]"
            )
        if classes.size and not -1 <= classes.min() <= classes.max() < self.spec.num_classes:
            raise ValueError(
                f"classes: got {classes.min()} to {classes.max()}, "
                f"expected 0 to {self.spec.num_classes - 1}, "
                "or -1 for the predicted class"
            )


def load(path: str | os.PathLike[str], *, dtype: str | None = None) -> LoadedModel:
    """Load a checkpoint of the converter, or the newest one of a training run.

    Args:
        path: a checkpoint or a training run's folder.
        dtype: compute type: "float32", "bfloat16", "float16", or "auto" for the device's. By default a
            network trained in float32, or converted, uses float32, and others use "auto".

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no checkpoint, it is damaged or has no head, or the data type is unknown.
    """
    folder = find_checkpoint(path)
    metadata, parameters = load_weights(folder)
    require_whole(metadata, path=path)
    if dtype is None:
        dtype = "float32" if metadata.spec.dtype == "float32" else "auto"
    replace(metadata.spec, dtype=dtype)  # raises for an unknown one
    return LoadedModel(jax.device_put(parameters), metadata, dtype, Path(folder))


@partial(jax.jit, static_argnums=0)
def _forward(spec: ModelSpec, parameters: Parameters, images: Array, classes: Array | None) -> Output:
    with matmul_precision(spec):
        return bind(spec, parameters)(images, classes)

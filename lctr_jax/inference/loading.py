"""A checkpoint opened for use: images in, logits and maps out."""

import os
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, require_whole
from lctr_jax.models.execution import device_kind, matmul_precision, resolve
from lctr_jax.models.output import Output
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec


@dataclass(frozen=True)
class LoadedModel:
    """A trained network and what its checkpoint says of it; call it on images.

    `dtype`: what it is computed in, as `model.dtype` names it.
    """

    parameters: Parameters
    metadata: Metadata
    dtype: str = "auto"

    def __call__(self, images: Array | np.ndarray, classes: Array | np.ndarray | None = None) -> Output:
        """Logits and maps, compiled once for each shape of the images.

        `images` [batch, height, width, 3]: float, normalized by ImageNet's mean and standard deviation.
        `classes` [batch] or [batch, asked]: whose class maps to give, -1 for those of the predicted class,
        which is also the default.

        Raises:
            ValueError: the images or the classes are not of that form.
        """
        if images.ndim != 4 or images.shape[-1] != 3 or not jnp.issubdtype(images.dtype, jnp.floating):
            raise ValueError(
                f"images: got {images.dtype} {list(images.shape)}, expected normalized float32 "
                "[batch, height, width, 3]"
            )
        if classes is not None:
            self._check_classes(np.asarray(classes), len(images))
        return _forward(self._execution(), self.parameters, jnp.asarray(images, jnp.float32), classes)

    @property
    def spec(self) -> ModelSpec:
        """The network's hyperparameters."""
        return self.metadata.spec

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name a class, or None where the checkpoint holds none."""
        return self.metadata.class_names

    def _execution(self) -> ModelSpec:
        """The spec as it is computed where the parameters are; fused attention is for training."""
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
    """Open a checkpoint: the converter's, or a training run's newest.

    `dtype` is what to compute in: "float32", "bfloat16", "float16", or "auto", what suits the device. Without
    it a network that was trained in float32, or converted, stays in float32, and another one is "auto".

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: there is no checkpoint, it is damaged, or it holds a backbone without a head; or the data
            type is unknown.
    """
    metadata, parameters = load_weights(path)
    require_whole(metadata, path=path)
    if dtype is None:
        dtype = "float32" if metadata.spec.dtype == "float32" else "auto"
    replace(metadata.spec, dtype=dtype)  # refuses an unknown one
    return LoadedModel(jax.device_put(parameters), metadata, dtype)


@partial(jax.jit, static_argnums=0)
def _forward(spec: ModelSpec, parameters: Parameters, images: Array, classes: Array | None) -> Output:
    with matmul_precision(spec):
        return bind(spec, parameters)(images, classes)

"""What every network of this package returns."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int


class Output(NamedTuple):
    """Everything the network says of an image, by name.

    `logits`. `class_map`: the predicted class's evidence at each patch, or that of the classes asked for
    (LCTR: relu(F_c) of CDM). `relation_map`: how strongly CLS is related to each patch, whatever the class
    (LCTR: RPAM's S). A method that lacks one of the two has ones in its place, so that the localization map
    is always their product. Intermediates: `cls_attention`, mean over heads and layers; `patch_tokens` after
    the final norm; `routing`, the weights of CDM's experts (None where there is no CDM).
    """

    logits: Float32[Array, "batch classes"]
    class_map: Float32[Array, "batch *asked grid_h grid_w"]
    relation_map: Float32[Array, "batch grid_h grid_w"]
    cls_attention: Float32[Array, "batch grid_h grid_w"]
    patch_tokens: Float[Array, "batch grid_h grid_w width"]
    routing: Float32[Array, "batch experts"] | None = None

    @property
    def localization_map(self) -> Float32[Array | np.ndarray, "batch *asked grid_h grid_w"]:
        """`relation_map` times `class_map`: what is boxed. NumPy where the output was fetched."""
        batch, *grid = self.relation_map.shape
        asked = self.class_map.ndim - self.relation_map.ndim
        return self.relation_map.reshape(batch, *[1] * asked, *grid) * self.class_map


def asked_classes(
    logits: Float32[Array, "batch classes"], classes: Int[Array, " batch *asked"] | None
) -> Int[Array, " batch *asked"]:
    """Whose maps to make: `classes`, a negative one or None standing for the predicted class."""
    predicted = jnp.argmax(logits, axis=-1)
    if classes is None:
        return predicted
    return jnp.where(classes < 0, predicted.reshape(-1, *[1] * (classes.ndim - 1)), classes)


def choose_maps(
    evidence: Float32[Array, "batch grid_h grid_w classes"], asked: Int[Array, " batch *asked"]
) -> Float32[Array, "batch *asked grid_h grid_w"]:
    """Of the maps of all classes, those of the classes asked for."""
    batch, grid_h, grid_w, _ = evidence.shape
    chosen = jnp.take_along_axis(evidence, asked.reshape(batch, 1, 1, -1), axis=-1)
    return jnp.moveaxis(chosen, -1, 1).reshape(*asked.shape, grid_h, grid_w)

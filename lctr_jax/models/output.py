"""Output of every network."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int


class Output(NamedTuple):
    """Logits, maps and intermediate results.

    Attributes:
        logits: of all classes.
        class_map: evidence for the predicted or the requested classes at each patch (LCTR: relu(F_c) of CDM).
        relation_map: class-agnostic relation of CLS to each patch (LCTR: RPAM's S). A method without one of
            the two maps has ones in its place, so that the localization map is always their product.
        cls_attention: CLS's attention to each patch, mean over heads and layers.
        patch_tokens: tokens after the final norm.
        routing: weights of CDM's experts; None in methods without CDM.
    """

    logits: Float32[Array, "batch classes"]
    class_map: Float32[Array, "batch *asked grid_h grid_w"]
    relation_map: Float32[Array, "batch grid_h grid_w"]
    cls_attention: Float32[Array, "batch grid_h grid_w"]
    patch_tokens: Float[Array, "batch grid_h grid_w width"]
    routing: Float32[Array, "batch experts"] | None = None

    @property
    def localization_map(self) -> Float32[Array | np.ndarray, "batch *asked grid_h grid_w"]:
        """The map that boxes are made from, `relation_map` times `class_map`; NumPy if the fields are."""
        batch, *grid = self.relation_map.shape
        asked = self.class_map.ndim - self.relation_map.ndim
        return self.relation_map.reshape(batch, *[1] * asked, *grid) * self.class_map


def asked_classes(
    logits: Float32[Array, "batch classes"], classes: Int[Array, " batch *asked"] | None
) -> Int[Array, " batch *asked"]:
    """Return the classes whose maps are requested, with the predicted class for negative numbers and None."""
    predicted = jnp.argmax(logits, axis=-1)
    if classes is None:
        return predicted
    return jnp.where(classes < 0, predicted.reshape(-1, *[1] * (classes.ndim - 1)), classes)


def choose_maps(
    evidence: Float32[Array, "batch grid_h grid_w classes"], asked: Int[Array, " batch *asked"]
) -> Float32[Array, "batch *asked grid_h grid_w"]:
    """Select the maps of the requested classes from the maps of all classes."""
    batch, grid_h, grid_w, _ = evidence.shape
    chosen = jnp.take_along_axis(evidence, asked.reshape(batch, 1, 1, -1), axis=-1)
    return jnp.moveaxis(chosen, -1, 1).reshape(*asked.shape, grid_h, grid_w)

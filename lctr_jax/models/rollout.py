"""Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lctr_jax.models.attention import Statistics
from lctr_jax.models.deit import DeiT
from lctr_jax.models.method import Method
from lctr_jax.models.output import Output
from lctr_jax.models.torch_layout import linear
from lctr_jax.models.vit import BackboneOutput


class Rollout(DeiT):
    """DeiT's classifier with attention rollout as the localization map, the same for every class."""

    statistics: Statistics = "matrix"

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Return the rollout as relation map and ones as class maps."""
        return self._class_agnostic_output(features, _patches_of(features), classes)


def attention_rollout(
    attention: Float[Array, "layers batch tokens tokens"],
) -> Float[Array, "batch tokens"]:
    """Compute how much of each input token CLS contains after the last layer.

    This is CLS's row of the product over layers of (A + I) / 2, where I stands for the residual connection.

    Args:
        attention: mean over heads, first layer first.
    """

    # Start at the last layer and carry only CLS's row: one vector-matrix product per layer.
    def step(row, layer):
        return (row + jnp.einsum("bq,bqj->bj", row, layer)) / 2, None

    cls = jnp.zeros(attention.shape[1:3], attention.dtype).at[:, 0].set(1)
    # Reversed beforehand instead of `reverse=True`, because jax2onnx does not support reverse scans.
    return jax.lax.scan(step, cls, attention[::-1])[0]


def _patches_of(features: BackboneOutput) -> Float[Array, "batch grid_h grid_w"]:
    """Select the rollout at the patches, which are the last tokens."""
    assert features.attention is not None
    grid = features.cls_attention.shape
    return attention_rollout(features.attention)[:, -grid[1] * grid[2] :].reshape(grid)


METHOD = Method(
    network=Rollout,
    description="attention rollout of a plain classifier (Abnar and Zuidema, ACL 2020)",
    head="cls",
    torch_names=linear("head", "head"),
)

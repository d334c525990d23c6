"""Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lctr_jax.models.attention import Statistics
from lctr_jax.models.deit import DeiT
from lctr_jax.models.method import Method
from lctr_jax.models.output import Output, asked_classes
from lctr_jax.models.torch_layout import linear
from lctr_jax.models.vit import BackboneOutput


class Rollout(DeiT):
    """DeiT's classifier, localized by attention rollout: one map, whatever the class."""

    statistics: Statistics = "matrix"

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """The rollout as relation map; the class maps are ones, for as many classes as asked for."""
        logits = self.head_logits(features)
        relation = _patches_of(features)
        return Output(
            logits=logits,
            class_map=jnp.ones((*asked_classes(logits, classes).shape, *relation.shape[1:])),
            relation_map=relation,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
        )


def attention_rollout(
    attention: Float[Array, "layers batch tokens tokens"],
) -> Float[Array, "batch tokens"]:
    """What CLS has of each input token after the last layer: CLS's row of the product of (A + I) / 2.

    `attention` is the mean over heads, first layer first; I stands for the residual connection.
    """

    # From the last layer back, the row alone is carried: a vector in place of a matrix product a layer.
    def step(row, layer):
        return (row + jnp.einsum("bq,bqj->bj", row, layer)) / 2, None

    cls = jnp.zeros(attention.shape[1:3], attention.dtype).at[:, 0].set(1)
    # Turned round before, not `reverse=True`: the converter to ONNX knows no backward scan.
    return jax.lax.scan(step, cls, attention[::-1])[0]


def _patches_of(features: BackboneOutput) -> Float[Array, "batch grid_h grid_w"]:
    """The rollout at the patches, which come last of the tokens."""
    assert features.attention is not None
    grid = features.cls_attention.shape
    return attention_rollout(features.attention)[:, -grid[1] * grid[2] :].reshape(grid)


METHOD = Method(
    network=Rollout,
    description="attention rollout of a plain classifier (Abnar and Zuidema, ACL 2020)",
    head="cls",
    torch_names=linear("head", "head"),
)

"""Base class of every method's network: backbone, head, training loss and maps."""

import abc

import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.attention import Statistics
from lctr_jax.models.output import Output, asked_classes
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import BackboneOutput, VisionTransformer


class Network(nnx.Module):
    """A backbone with a head on its tokens. Subclasses define `head_logits` and `output`.

    A method with its own loss overrides `head_loss`. Arrays that belong to the checkpoint but are not trained
    by gradients, such as running means, are `nnx.BatchStat`: `head_loss` may assign to them, and training
    keeps the result. In training, it sees the images of one device; the assigned values are averaged over
    devices.
    """

    statistics: Statistics = "cls"
    """Attention statistics that `output` needs: "cls", "relation" (RPAM's map as well) or "matrix"."""

    head_features: tuple[str, ...] = ("cls_token", "patch_tokens", "cls_attention")
    """Fields of the backbone's output that `head_loss` uses."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.backbone = VisionTransformer(spec, rngs=rngs)

    @abc.abstractmethod
    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Compute logits from the backbone's tokens."""

    @abc.abstractmethod
    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Compute logits and maps from the backbone's output; `classes` as in `__call__`."""

    def loss(
        self,
        images: Float[Array, "batch height width 3"],
        targets: Float[Array, "batch classes"],
        *,
        keys: Key[Array, " batch"] | None = None,
    ) -> tuple[Float32[Array, ""], Float32[Array, "batch classes"]]:
        """Compute the mean training loss and the logits.

        Args:
            images: normalized images.
            targets: distributions over the classes, not one-hot with mixup or label smoothing.
            keys: one key per sample, the source of all random draws; None disables drop path.
        """
        features = self.backbone(images, statistics="cls", drop_path_keys=keys)
        return self.head_loss(features, targets, keys=keys)

    def head_loss(
        self,
        features: BackboneOutput,
        targets: Float[Array, "batch classes"],
        *,
        keys: Key[Array, " batch"] | None = None,
    ) -> tuple[Float32[Array, ""], Float32[Array, "batch classes"]]:
        """Compute the mean training loss and the logits from the backbone's output; by default cross entropy.

        Args:
            features: output of the backbone.
            targets: distributions over the classes, not one-hot with mixup or label smoothing.
            keys: one key per sample, the source of all random draws of the head.
        """
        del keys
        logits = self.head_logits(features)
        return cross_entropy(logits, targets), logits

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Compute logits and maps of normalized images, as evaluation needs them.

        Args:
            images: see `normalization.normalize`.
            classes: classes whose maps are returned, one per image or several; a negative number or None
                stands for the predicted class.
        """
        return self.output(self.backbone(images, statistics=self.statistics), classes)

    def _class_agnostic_output(
        self,
        features: BackboneOutput,
        relation_map: Float32[Array, "batch grid_h grid_w"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None,
    ) -> Output:
        """Return the output of a method with one map for all classes: the requested class maps are ones."""
        logits = self.head_logits(features)
        asked = asked_classes(logits, classes)
        return Output(
            logits=logits,
            class_map=jnp.ones((*asked.shape, *relation_map.shape[1:])),
            relation_map=relation_map,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
        )


def cross_entropy(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float32[Array, ""]:
    """Compute the mean cross entropy in float32; `targets` are distributions over the classes."""
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), targets).mean()

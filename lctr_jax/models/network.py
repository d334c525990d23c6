"""The base of every method's network: backbone, head, training loss and maps."""

import abc

import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.attention import Statistics
from lctr_jax.models.output import Output
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import BackboneOutput, VisionTransformer


class Network(nnx.Module):
    """A backbone with a head on its tokens. A method defines `head_logits` and `output`.

    A method with a loss of its own overrides `loss`. Arrays other than `nnx.Param` that belong to the
    checkpoint, such as running means, are `nnx.BatchStat`: `loss` may assign to them, and training keeps what
    it assigned. In training `loss` sees the rows of one device; what it assigns is averaged over all devices.
    """

    statistics: Statistics = "cls"
    """What `output` reads of the attention: CLS's row, RPAM's relation map too, or whole matrices."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.backbone = VisionTransformer(spec, rngs=rngs)

    @abc.abstractmethod
    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Logits from the backbone's tokens."""

    @abc.abstractmethod
    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Logits and maps from the backbone's tokens and the `statistics`; `classes` as in `__call__`."""

    def logits(
        self,
        images: Float[Array, "batch height width 3"],
        *,
        drop_path_keys: Key[Array, " batch"] | None = None,
    ) -> Float32[Array, "batch classes"]:
        """Logits of normalized images, without maps; with keys, one per sample, as in training."""
        return self.head_logits(self.backbone(images, statistics="cls", drop_path_keys=drop_path_keys))

    def loss(
        self,
        images: Float[Array, "batch height width 3"],
        targets: Float[Array, "batch classes"],
        *,
        keys: Key[Array, " batch"] | None = None,
    ) -> tuple[Float32[Array, ""], Float32[Array, "batch classes"]]:
        """The mean training loss and the logits; here the cross entropy.

        `targets` are distributions over the classes (with mixup or label smoothing not one-hot). All random
        draws come from `keys`, one per sample; without them nothing is dropped.
        """
        logits = self.logits(images, drop_path_keys=keys)
        return cross_entropy(logits, targets), logits

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Logits and maps of normalized images, as evaluation needs them.

        `classes` asks for class maps: [batch] for one per image, [batch, asked] for several; a negative
        number asks for the predicted class, as does leaving them out.
        """
        return self.output(self.backbone(images, statistics=self.statistics), classes)


def cross_entropy(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float32[Array, ""]:
    """Mean over the batch, in float32; `targets` are distributions over the classes."""
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), targets).mean()

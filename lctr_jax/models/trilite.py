"""TriLite (Sabaghi and Oramas, CVPR 2026): foreground, background and ambiguous patches of a frozen ViT."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.batch_norm import BatchNorm
from lctr_jax.models.initializers import uniform_initializer
from lctr_jax.models.method import Method
from lctr_jax.models.network import Network, cross_entropy
from lctr_jax.models.output import Output
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.torch_layout import TorchLayout, batch_statistics, linear, norm, shape_of
from lctr_jax.models.vit import BackboneOutput

REGIONS = 3  # foreground, background, ambiguous
_NORMED, _NOT_NORMED = ("cls_token", "patch_tokens"), ("cls_before_norm", "patches_before_norm")
_TAPS = 3  # side of the convolution's kernel


class RegionLogits(NamedTuple):
    """Output of the localization head.

    Attributes:
        scores: scores of the three regions at each patch, before the softmax.
        foreground: class logits of the mean foreground feature.
        background: class logits of the mean background feature.
    """

    scores: Float32[Array, "batch grid_h grid_w 3"]
    foreground: Float32[Array, "batch classes"]
    background: Float32[Array, "batch classes"]

    @property
    def foreground_map(self) -> Float32[Array, "batch grid_h grid_w"]:
        """Probability of each patch to be foreground."""
        return jax.nn.softmax(self.scores)[..., 0]


class Losses(NamedTuple):
    """The three terms of the training loss, means over the batch; the loss is their sum."""

    classes: Float32[Array, ""]
    foreground: Float32[Array, ""]
    background: Float32[Array, ""]


class RegionHead(nnx.Module):
    """The localization head: a 3x3 convolution to three regions, and one classifier for their features."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        init = uniform_initializer(fan_in=_TAPS**2 * spec.width)
        self.kernel = nnx.Param(init(rngs.params(), (_TAPS, _TAPS, spec.width, REGIONS)))
        self.norm = BatchNorm(REGIONS)
        self.classifier = _classifier(spec, rngs)
        self.dropout = spec.loc_dropout

    def __call__(
        self,
        patches: Float32[Array, "batch grid_h grid_w width"],
        *,
        training: bool = False,
        keys: Key[Array, " batch"] | None = None,
    ) -> RegionLogits:
        """Compute the region scores, and classify the mean features of foreground and background.

        Args:
            patches: the backbone's patch tokens.
            training: normalize by the batch's statistics and update the running ones.
            keys: one random key per sample enables dropout.
        """
        scores = self.norm(_convolve(patches, self.kernel[...]), training=training)
        shares = jax.nn.softmax(scores)[..., :2]
        sums = jnp.einsum("bhwk,bhwd->bkd", shares, patches)
        features = dropout(sums / (shares.sum((1, 2))[..., None] + 1e-6), keys, rate=self.dropout)
        return RegionLogits(scores, self.classifier(features[:, 0]), self.classifier(features[:, 1]))


class TriLite(Network):
    """A localization head and a linear classifier on CLS, on a frozen backbone.

    Its localization map is the foreground probability, which is the same for every class.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        super().__init__(spec, rngs=rngs)
        self.regions = RegionHead(spec, rngs=rngs)
        self.classifier = _classifier(spec, rngs)
        self.head_features = _NOT_NORMED if spec.tokens_before_norm else _NORMED
        self.spec = spec

    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Classify CLS."""
        return self.classifier(self._tokens(features)[0])

    def head_loss(
        self,
        features: BackboneOutput,
        targets: Float[Array, "batch classes"],
        *,
        keys: Key[Array, " batch"] | None = None,
    ) -> tuple[Float32[Array, ""], Float32[Array, "batch classes"]]:
        """Return the sum of the three losses, and the class logits; `keys` enable dropout only."""
        cls, patches = self._tokens(features)
        cls_keys, patch_keys = (None, None) if keys is None else _split(keys)
        logits = self.classifier(dropout(cls, cls_keys, rate=self.spec.cls_dropout))
        found = self.regions(patches, training=True, keys=patch_keys)
        losses = training_losses(logits, found, targets, alpha=self.spec.alpha)
        return losses.classes + losses.foreground + losses.background, logits

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Return the foreground as relation map; the class maps are ones, one per requested class."""
        foreground = self.regions(self._tokens(features)[1]).foreground_map
        return self._class_agnostic_output(features, foreground, classes)

    def _tokens(
        self, features: BackboneOutput
    ) -> tuple[Float32[Array, "batch width"], Float32[Array, "batch grid_h grid_w width"]]:
        cls, patches = (getattr(features, name) for name in self.head_features)
        return cls.astype(jnp.float32), patches.astype(jnp.float32)


def training_losses(
    logits: Float32[Array, "batch classes"],
    found: RegionLogits,
    targets: Float[Array, "batch classes"],
    *,
    alpha: float,
) -> Losses:
    """Compute the three terms of the training loss.

    The background's is `alpha` times the mean of -log(1 - p + 1e-7), where p is the class's probability by
    the background's logits; it is summed over classes with the targets as weights.

    Args:
        logits: output of the classifier on CLS.
        found: output of the localization head.
        targets: distributions over the classes.
        alpha: weight of the background term.
    """
    hidden = -jnp.log(1 - jax.nn.softmax(found.background) + 1e-7)
    return Losses(
        classes=cross_entropy(logits, targets),
        foreground=cross_entropy(found.foreground, targets),
        background=alpha * (targets.astype(jnp.float32) * hidden).sum(-1).mean(),
    )


def dropout(
    features: Float32[Array, " batch *shape"], keys: Key[Array, " batch"] | None, *, rate: float
) -> Float32[Array, " batch *shape"]:
    """Drop features at random (Srivastava et al., 2014), per sample; without keys, nothing is dropped."""
    if keys is None or rate == 0:
        return features
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, features.shape[1:]))(keys)
    return jnp.where(keep, features / (1 - rate), 0.0)


def _split(keys: Array) -> tuple[Array, Array]:
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]


def _convolve(
    patches: Float32[Array, "batch grid_h grid_w width"], kernel: Float32[Array, "3 3 width channels"]
) -> Float32[Array, "batch grid_h grid_w channels"]:
    """Convolve with padding as one matrix product, then nine shifted sums.

    With three channels this is faster than a convolution, especially in the backward pass.
    """
    grid_h, grid_w = patches.shape[1:3]
    taps = jnp.einsum("bhwd,yxdk->bhwyxk", patches, kernel)
    padded = jnp.pad(taps, [(0, 0), (1, 1), (1, 1), (0, 0), (0, 0), (0, 0)])
    shifted = [padded[:, y : y + grid_h, x : x + grid_w, y, x] for y in range(_TAPS) for x in range(_TAPS)]
    return sum(shifted[1:], shifted[0])


def _classifier(spec: ModelSpec, rngs: nnx.Rngs) -> nnx.Linear:
    init = uniform_initializer(fan_in=spec.width)
    return nnx.Linear(spec.width, spec.num_classes, kernel_init=init, bias_init=init, rngs=rngs)


def _recognize(tensors: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Recognize a published checkpoint; with DINOv2, tokens are read before the final norm."""
    if "triHead.activation_head.weight" not in tensors:
        return None
    num_classes = shape_of(tensors, "global_classifier.weight", rank=2)[0]
    return {"num_classes": num_classes, "tokens_before_norm": "blocks.0.ls1.gamma" in tensors}


METHOD = Method(
    network=TriLite,
    description="foreground of a frozen backbone's patches (Sabaghi and Oramas, CVPR 2026)",
    head="trilite",
    torch_names={
        "regions.kernel": TorchLayout("triHead.activation_head.weight", (2, 3, 1, 0)),
        **norm("regions.norm", "triHead.bn_head"),
        **batch_statistics("regions.norm", "triHead.bn_head"),
        **linear("regions.classifier", "triHead.patch_classifier"),
        **linear("classifier", "global_classifier"),
    },
    recognize=_recognize,
    frozen=("backbone",),
    class_head=("classifier",),
    compared=False,
)

"""TS-CAM (token semantic coupled attention map) and, with RPAM's relation map, LCTR without CDM."""

import functools
from collections.abc import Mapping

import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Int

from lctr_jax.models.attention import Statistics
from lctr_jax.models.dense import Conv3x3
from lctr_jax.models.initializers import uniform_initializer
from lctr_jax.models.method import Method
from lctr_jax.models.network import Network
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.torch_layout import conv
from lctr_jax.models.vit import BackboneOutput


class TSCAM(Network):
    """A 3x3 convolution of the patch tokens to class maps, times CLS's attention (Gao et al., ICCV 2021).

    A logit is the mean of its class map. Class maps may be negative: the published code has no ReLU.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        super().__init__(spec, rngs=rngs)
        init = uniform_initializer(fan_in=9 * spec.width)
        self.head = Conv3x3(spec.width, spec.num_classes, dtype=spec.dtype, init=init, rngs=rngs)

    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Compute the mean of each class map."""
        return self.head(features.patch_tokens).mean((1, 2))

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Compute the maps of the requested classes; the relation map is CLS's attention or RPAM's."""
        maps = self.head(features.patch_tokens)
        logits = maps.mean((1, 2))
        return Output(
            logits=logits,
            class_map=choose_maps(maps, asked_classes(logits, classes)),
            relation_map=features.cls_attention if features.relation is None else features.relation,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
        )


class LCTRWithoutCDM(TSCAM):
    """TS-CAM's head with RPAM's relation map."""

    statistics: Statistics = "relation"


def _recognize(tensors: Mapping[str, np.ndarray]) -> dict[str, int] | None:
    head = tensors.get("head.weight")
    return None if head is None or head.ndim != 4 else {"num_classes": head.shape[0]}


_conv = functools.partial(Method, head="conv", torch_names=conv("head", "head"))
TSCAM_METHOD = _conv(
    network=TSCAM,
    description="CLS's attention x a convolution (Gao et al., ICCV 2021)",
    recognize=_recognize,
)
LCTR_WITHOUT_CDM = _conv(network=LCTRWithoutCDM, description="ablation of LCTR: RPAM x TS-CAM's convolution")

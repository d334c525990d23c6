"""LCTR: DeiT backbone, RPAM and CDM, from images to logits and maps."""

import functools
from collections.abc import Mapping

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Int

from lctr_jax.models.attention import Statistics
from lctr_jax.models.cdm import CueDigging
from lctr_jax.models.method import Method
from lctr_jax.models.network import Network
from lctr_jax.models.output import Output, asked_classes
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.torch_layout import TorchLayout, conv, linear, shape_of
from lctr_jax.models.vit import BackboneOutput


class LCTR(Network):
    """LCTR (Chen et al., "LCTR: On Awakening the Local Continuity of Transformer for WSOL", AAAI 2022)."""

    statistics: Statistics = "relation"

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        super().__init__(spec, rngs=rngs)
        self.cdm = CueDigging(spec, rngs=rngs)

    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Compute the mean of the pooled dynamic convolution in closed form."""
        return self.cdm.logits(features.patch_tokens, self._routing(features))

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Compute the dynamic convolution's maps of the requested classes; the relation map is RPAM's."""
        routing = self._routing(features)
        logits = self.cdm.logits(features.patch_tokens, routing)
        asked = asked_classes(logits, classes)
        maps = self.cdm.class_maps(features.patch_tokens, routing, asked.reshape(asked.shape[0], -1))
        return Output(
            logits=logits,
            class_map=jax.nn.relu(maps).reshape(*asked.shape, *maps.shape[2:]),
            relation_map=features.cls_attention if features.relation is None else features.relation,
            cls_attention=features.cls_attention,
            routing=routing,
            patch_tokens=features.patch_tokens,
        )

    def _routing(self, features: BackboneOutput) -> Float32[Array, "batch experts"]:
        return self.cdm.route(features.patch_tokens, features.cls_attention)


class LCTRWithoutRPAM(LCTR):
    """LCTR with CLS's attention as the relation map; trained identically, as RPAM has no gradient."""

    statistics: Statistics = "cls"


def _recognize(tensors: Mapping[str, np.ndarray]) -> dict[str, int] | None:
    if not any(name.startswith(("CDM.", "conv3x3.")) for name in tensors):
        return None
    experts, num_classes = shape_of(tensors, "CDM.weight", rank=5)[:2]
    return {"num_classes": num_classes, "experts": experts}


_cdm = functools.partial(
    Method,
    head="cdm",
    torch_names={
        **conv("cdm.conv3x3", "conv3x3"),
        **linear("cdm.route_mean", "CDM._routing_fn_two.fc"),
        **linear("cdm.route_max", "CDM._routing_fn_two.fc2"),
        "cdm.kernels": TorchLayout("CDM.weight", (3, 4, 2, 0, 1)),
        "cdm.bias": TorchLayout("CDM.bias"),
    },
)
LCTR_METHOD = _cdm(network=LCTR, description="RPAM x CDM (Chen et al., AAAI 2022)", recognize=_recognize)
WITHOUT_RPAM = _cdm(network=LCTRWithoutRPAM, description="ablation of LCTR: CLS's attention x CDM")

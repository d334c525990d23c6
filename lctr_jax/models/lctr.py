"""LCTR: DeiT's backbone, RPAM and CDM, from images to logits and maps."""

import jax
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.cdm import CueDigging
from lctr_jax.models.output import Output, asked_classes
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import VisionTransformer


class LCTR(nnx.Module):
    """LCTR (Chen et al., "LCTR: On Awakening the Local Continuity of Transformer for WSOL", AAAI 2022).

    Without RPAM, its relation map is CLS's attention, as in TS-CAM; RPAM has no part in training.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.backbone = VisionTransformer(spec, rngs=rngs)
        self.cdm = CueDigging(spec, rngs=rngs)
        self.rpam = spec.method != "lctr_without_rpam"

    def logits(
        self,
        images: Float[Array, "batch height width 3"],
        *,
        drop_path_keys: Key[Array, " batch"] | None = None,
    ) -> Float32[Array, "batch classes"]:
        """What training needs: logits of normalized images, no maps."""
        features = self.backbone(images, statistics="cls", drop_path_keys=drop_path_keys)
        routing = self.cdm.route(features.patch_tokens, features.cls_attention)
        return self.cdm.logits(features.patch_tokens, routing)

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Logits and maps of normalized images.

        `classes` asks for class maps: [batch] for one an image, [batch, asked] for several; a negative number
        asks for the predicted class, as does leaving them out.
        """
        features = self.backbone(images, statistics="relation" if self.rpam else "cls")
        routing = self.cdm.route(features.patch_tokens, features.cls_attention)
        logits = self.cdm.logits(features.patch_tokens, routing)
        asked = asked_classes(logits, classes)
        maps = self.cdm.class_maps(features.patch_tokens, routing, asked.reshape(images.shape[0], -1))
        relation = features.relation if self.rpam else features.cls_attention
        assert relation is not None
        return Output(
            logits=logits,
            class_map=jax.nn.relu(maps).reshape(*asked.shape, *maps.shape[2:]),
            relation_map=relation,
            cls_attention=features.cls_attention,
            routing=routing,
            patch_tokens=features.patch_tokens,
        )

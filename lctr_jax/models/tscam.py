"""TS-CAM, the token semantic coupled attention map; with RPAM's relation map, LCTR without CDM."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.initializers import uniform_initializer
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import BackboneOutput, VisionTransformer


class TSCAM(nnx.Module):
    """A 3x3 convolution of the patch tokens to classes, coupled with CLS's attention (Gao et al., ICCV 2021).

    A class's logit is the mean of its class map, which may be negative: the published code has no relu.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.backbone = VisionTransformer(spec, rngs=rngs)
        init = uniform_initializer(fan_in=9 * spec.width)
        self.head = nnx.Conv(
            spec.width,
            spec.num_classes,
            (3, 3),
            padding=1,
            dtype=spec.dtype,
            kernel_init=init,
            bias_init=init,
            rngs=rngs,
        )
        self.rpam = spec.method == "lctr_without_cdm"

    def logits(
        self,
        images: Float[Array, "batch height width 3"],
        *,
        drop_path_keys: Key[Array, " batch"] | None = None,
    ) -> Float32[Array, "batch classes"]:
        """Logits of normalized images."""
        features = self.backbone(images, statistics="cls", drop_path_keys=drop_path_keys)
        return self._evidence(features).mean((1, 2))

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Logits and maps of normalized images; `classes` as LCTR takes them."""
        features = self.backbone(images, statistics="relation" if self.rpam else "cls")
        evidence = self._evidence(features)
        logits = evidence.mean((1, 2))
        relation = features.relation if self.rpam else features.cls_attention
        assert relation is not None
        return Output(
            logits=logits,
            class_map=choose_maps(evidence, asked_classes(logits, classes)),
            relation_map=relation,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
            routing=None,
        )

    def _evidence(self, features: BackboneOutput) -> Float32[Array, "batch grid_h grid_w classes"]:
        return self.head(features.patch_tokens).astype(jnp.float32)

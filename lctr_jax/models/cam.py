"""CAM, class activation mapping, on the patch tokens."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import VisionTransformer


class CAM(nnx.Module):
    """A linear head on the mean patch token, read at each patch for the class maps (Zhou et al., CVPR 2016).

    A class map's mean is the class's logit. No relation map goes with it.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        self.backbone = VisionTransformer(spec, rngs=rngs)
        self.head = nnx.Linear(spec.width, spec.num_classes, kernel_init=kernel_initializer(spec), rngs=rngs)

    def logits(
        self,
        images: Float[Array, "batch height width 3"],
        *,
        drop_path_keys: Key[Array, " batch"] | None = None,
    ) -> Float32[Array, "batch classes"]:
        """Logits of normalized images."""
        features = self.backbone(images, statistics="cls", drop_path_keys=drop_path_keys)
        return self.head(features.patch_tokens.astype(jnp.float32).mean((1, 2)))

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Logits and maps of normalized images; `classes` as LCTR takes them."""
        features = self.backbone(images, statistics="cls")
        evidence = self.head(features.patch_tokens.astype(jnp.float32))
        logits = evidence.mean((1, 2))
        return Output(
            logits=logits,
            class_map=choose_maps(evidence, asked_classes(logits, classes)),
            relation_map=jnp.ones_like(features.cls_attention),
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
            routing=None,
        )

"""DeiT as a classifier: the pre-training that LCTR starts from."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key

from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import VisionTransformer


class DeiT(nnx.Module):
    """The backbone with a linear head on CLS (Touvron et al., ICML 2021).

    Its class map reads the patch tokens through the same head; its relation map is RPAM's.
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
        return self.head(features.cls_token.astype(jnp.float32))

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None = None,
    ) -> Output:
        """Logits and maps of normalized images, as LCTR returns them."""
        features = self.backbone(images, statistics="relation")
        logits = self.head(features.cls_token.astype(jnp.float32))
        asked = asked_classes(logits, classes)
        evidence = self.head(features.patch_tokens.astype(jnp.float32))
        assert features.relation is not None
        return Output(
            logits=logits,
            class_map=jax.nn.relu(choose_maps(evidence, asked)),
            relation_map=features.relation,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
            routing=None,
        )

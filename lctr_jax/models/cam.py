"""CAM, class activation mapping, on the patch tokens."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32, Int

from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.method import Method
from lctr_jax.models.network import Network
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.torch_layout import linear
from lctr_jax.models.vit import BackboneOutput


class CAM(Network):
    """A linear head on the mean patch token, applied to each patch for class maps (Zhou et al., CVPR 2016).

    The mean of a class map is the class's logit. There is no relation map (ones).
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        super().__init__(spec, rngs=rngs)
        self.head = nnx.Linear(spec.width, spec.num_classes, kernel_init=kernel_initializer(spec), rngs=rngs)

    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Apply the head to the mean patch token."""
        return self.head(features.patch_tokens.astype(jnp.float32).mean((1, 2)))

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Apply the head to every token and select the requested classes."""
        maps = self.head(features.patch_tokens.astype(jnp.float32))
        logits = maps.mean((1, 2))
        return Output(
            logits=logits,
            class_map=choose_maps(maps, asked_classes(logits, classes)),
            relation_map=jnp.ones_like(features.cls_attention),
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
        )


METHOD = Method(
    network=CAM,
    description="class activation maps of the mean patch token (Zhou et al., CVPR 2016)",
    head="mean",
    torch_names=linear("head", "head"),
)

"""DeiT as a classifier, used for pre-training."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32, Int

from lctr_jax.models.attention import Statistics
from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.method import Method
from lctr_jax.models.network import Network
from lctr_jax.models.output import Output, asked_classes, choose_maps
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.torch_layout import linear
from lctr_jax.models.vit import BackboneOutput


class DeiT(Network):
    """The backbone with a linear head on CLS (Touvron et al., ICML 2021).

    Its class map applies the same head to the patch tokens; its relation map is RPAM's.
    """

    statistics: Statistics = "relation"

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        super().__init__(spec, rngs=rngs)
        self.head = nnx.Linear(spec.width, spec.num_classes, kernel_init=kernel_initializer(spec), rngs=rngs)

    def head_logits(self, features: BackboneOutput) -> Float32[Array, "batch classes"]:
        """Apply the head to CLS."""
        return self.head(features.cls_token.astype(jnp.float32))

    def output(
        self, features: BackboneOutput, classes: Int[Array, " batch"] | Int[Array, "batch asked"] | None
    ) -> Output:
        """Apply the head to each patch token for the class maps; the relation map is RPAM's."""
        logits = self.head_logits(features)
        maps = self.head(features.patch_tokens.astype(jnp.float32))
        assert features.relation is not None
        return Output(
            logits=logits,
            class_map=jax.nn.relu(choose_maps(maps, asked_classes(logits, classes))),
            relation_map=features.relation,
            cls_attention=features.cls_attention,
            patch_tokens=features.patch_tokens,
        )


METHOD = Method(
    network=DeiT,
    description="plain classifier, for pre-training (Touvron et al., ICML 2021)",
    head="cls",
    torch_names=linear("head", "head"),
    compared=False,
)

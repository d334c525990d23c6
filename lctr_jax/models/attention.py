"""Multi-head self-attention that reports the statistics LCTR reads from it."""

from typing import Literal, NamedTuple

from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from lctr_jax.models.dense import Dense
from lctr_jax.models.initializers import kernel_initializer
from lctr_jax.models.plain_attention import plain_attention
from lctr_jax.models.rpam import patch_relation
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.training_attention import training_attention

Statistics = Literal["cls", "relation", "matrix"]


class AttentionStatistics(NamedTuple):
    """What one layer's attention says about the patches.

    `cls`: attention of the CLS token, mean over heads. `relation`: RPAM's vector of the layer, and `matrix`:
    attention between all tokens, mean over heads, or None where they were not asked for.
    """

    cls: Float[Array, "batch patches"]
    relation: Float[Array, "batch patches"] | None = None
    matrix: Float[Array, "batch tokens tokens"] | None = None


class Attention(nnx.Module):
    """Softmax attention with a fused query-key-value projection (Vaswani et al., 2017)."""

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        init = kernel_initializer(spec)
        self.qkv = Dense(spec.width, 3 * spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.proj = Dense(spec.width, spec.width, dtype=spec.dtype, kernel_init=init, rngs=rngs)
        self.heads = spec.heads
        self.prefix_tokens = spec.prefix_tokens
        self.implementation = spec.attention

    def __call__(
        self, tokens: Float[Array, "batch tokens width"], *, statistics: Statistics
    ) -> tuple[Float[Array, "batch tokens width"], AttentionStatistics]:
        """Attend; `statistics` chooses CLS's row alone, or RPAM's vector or the whole matrix as well."""
        # Torch's order of the fused projection: (query, key, value) x heads x head width.
        qkv = checkpoint_name(self.qkv(tokens), "qkv")
        if statistics == "cls" and self.implementation != "plain":
            attended, cls_row = training_attention(qkv, heads=self.heads, implementation=self.implementation)
            matrix = None
        else:
            attended, weights = plain_attention(qkv, heads=self.heads)
            cls_row = weights[:, :, 0].mean(1)
            matrix = None if statistics == "cls" else weights.mean(1)
        if self.implementation != "cudnn":  # whose own result is kept (`layers.keep_products`)
            attended = checkpoint_name(attended, "attended")
        out = self.proj(attended)
        cls = cls_row[:, self.prefix_tokens :]
        if statistics == "relation":
            assert matrix is not None
            relation = patch_relation(matrix, prefix_tokens=self.prefix_tokens)
            return out, AttentionStatistics(cls, relation=relation)
        return out, AttentionStatistics(cls, matrix=matrix)

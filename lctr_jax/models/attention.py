"""Multi-head self-attention that also returns the attention statistics that the methods use."""

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
    """Statistics of one layer's attention over the patches.

    Attributes:
        cls: attention of the CLS token to each patch, mean over heads.
        relation: RPAM's relation of the layer (`rpam.patch_relation`); None unless requested.
        matrix: attention between all tokens, mean over heads; None unless requested.
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
        """Attend over the tokens of each image.

        Args:
            tokens: input tokens, CLS first, then registers, then patches.
            statistics: "cls" returns CLS's row only; "relation" and "matrix" also return the statistic of
                that name.

        Returns:
            The projected output and the statistics.
        """
        # PyTorch's layout of the fused projection: (query, key, value) x heads x head width.
        qkv = checkpoint_name(self.qkv(tokens), "qkv")
        if statistics == "cls" and self.implementation != "plain":
            attended, cls_row = training_attention(qkv, heads=self.heads, implementation=self.implementation)
            matrix = None
        else:
            attended, weights = plain_attention(qkv, heads=self.heads)
            cls_row = weights[:, :, 0].mean(1)
            matrix = None if statistics == "cls" else weights.mean(1)
        if self.implementation != "cudnn":  # `layers.keep_products` keeps cuDNN's result itself
            attended = checkpoint_name(attended, "attended")
        out = self.proj(attended)
        cls = cls_row[:, self.prefix_tokens :]
        if statistics == "relation":
            assert matrix is not None
            relation = patch_relation(matrix, prefix_tokens=self.prefix_tokens)
            return out, AttentionStatistics(cls, relation=relation)
        return out, AttentionStatistics(cls, matrix=matrix)

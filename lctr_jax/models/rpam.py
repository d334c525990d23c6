"""RPAM, the relational patch-attention module (LCTR, AAAI 2022, section "Relational Patch-Attention").

RPAM has no parameters. It computes from every layer's attention how strongly CLS reaches each patch in two
steps: from CLS to any token, and from that token to the patch. It is used for maps only and carries no
gradient.
"""

import jax
from jaxtyping import Array, Float


def patch_relation(
    attention: Float[Array, "batch tokens tokens"], *, prefix_tokens: int = 1
) -> Float[Array, "batch patches"]:
    """Compute one layer's relation m[j] = (1/n) sum_q A[0, q] A[q, j], j over patches, q over all n tokens.

    Args:
        attention: mean over heads, taken before this product. Token 0 is CLS.
        prefix_tokens: number of tokens before the patches (CLS and registers).
    """
    attention = jax.lax.stop_gradient(attention)
    two_steps = jax.numpy.einsum("bq,bqj->bj", attention[:, 0], attention[:, :, prefix_tokens:])
    return two_steps / attention.shape[-1]

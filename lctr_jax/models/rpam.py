"""RPAM, the relational patch-attention module (LCTR, AAAI 2022, section "Relational Patch-Attention").

It has no parameters: it reads, from every layer's attention, how strongly CLS reaches each patch in two steps
(CLS to any token, that token to the patch). Maps alone use it; it carries no gradient.
"""

import jax
from jaxtyping import Array, Float


def patch_relation(
    attention: Float[Array, "batch tokens tokens"], *, prefix_tokens: int = 1
) -> Float[Array, "batch patches"]:
    """One layer's relation m[j] = (1/n) sum_q A[0, q] A[q, j], j over patches and q over all n tokens.

    `attention` is the mean over heads, taken *before* this product. Token 0 is CLS; the patches come after
    the `prefix_tokens`, which are CLS and any registers.
    """
    attention = jax.lax.stop_gradient(attention)
    two_steps = jax.numpy.einsum("bq,bqj->bj", attention[:, 0], attention[:, :, prefix_tokens:])
    return two_steps / attention.shape[-1]

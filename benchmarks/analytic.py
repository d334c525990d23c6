"""The minimal FLOPs of LCTR, from its formulas.

A product [m, k] x [k, n] has 2 m k n FLOPs; everything else (softmax, norms, GELU, the optimizer) is small
and ignored. With n tokens, p patches, width d, l layers, MLP ratio r, patch side s, e experts, k classes, the
forward pass has:

    patches     2 p (3 s^2) d
    blocks      l (2 n d 3d + 2 n d d + 2 n d 2 r d + 2 x 2 n^2 d)
    cues        2 p (9 d) d                     the cue convolution, its border taken as full
    routing     2 x 2 d e
    logits      2 x 9 p d + 2 (9 d) e k + 2 e k   the head in closed form: nothing grows with p times k

Training takes three times as many: the gradient of each product consists of two products of the same size.
"""

from lctr_jax.models.spec import ModelSpec


def forward_flops(spec: ModelSpec) -> float:
    """Return the FLOPs of the logits of one image."""
    width, patches = spec.width, spec.grid[0] * spec.grid[1]
    tokens = patches + spec.prefix_tokens
    embedding = 2 * patches * 3 * spec.patch_size**2 * width
    dense = 2 * tokens * width * width * (3 + 1 + 2 * spec.mlp_ratio)
    attention = 2 * 2 * tokens**2 * width
    cues = 2 * patches * 9 * width * width
    routing = 2 * 2 * width * spec.experts
    pooling = 2 * 9 * patches * width
    logits = 2 * (9 * width + 1) * spec.experts * spec.num_classes
    return embedding + spec.depth * (dense + attention) + cues + routing + pooling + logits


def training_flops(spec: ModelSpec) -> float:
    """Return the FLOPs of one image's share of a training step."""
    return 3 * forward_flops(spec)

"""CDM, the cue digging module (LCTR, AAAI 2022, section "Cue Digging"), in closed form.

A cue convolution over the patches with little CLS attention computes routing weights for a mixture of expert
kernels; a dynamic convolution with the mixed kernel is applied to the patch tokens. The paper's logits are
the mean of that convolution's 3x3-average-pooled output. Given the routing, all of this is linear in the
tokens, so the logits need only nine weighted sums of the tokens and one matrix product. The convolution's
output, one map per class, is computed for the requested classes only.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from lctr_jax.models.dense import Conv3x3
from lctr_jax.models.initializers import uniform_initializer
from lctr_jax.models.spec import ModelSpec

TAPS = 3  # side of every kernel in this module


class CueDigging(nnx.Module):
    """Cue convolution, routing and the dynamic convolution's logits and class maps.

    Initialized like the PyTorch layers: uniform within 1 / sqrt(fan-in). The expert kernels' fan-in is
    9 x width x classes, as PyTorch computes it for their 5-D tensor.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        width, classes, experts = spec.width, spec.num_classes, spec.experts
        cue, routing = uniform_initializer(fan_in=TAPS**2 * width), uniform_initializer(fan_in=width)
        self.conv3x3 = Conv3x3(width, width, dtype=spec.dtype, init=cue, rngs=rngs)
        self.route_mean = nnx.Linear(width, experts, kernel_init=routing, bias_init=routing, rngs=rngs)
        self.route_max = nnx.Linear(width, experts, kernel_init=routing, bias_init=routing, rngs=rngs)
        kernels = uniform_initializer(fan_in=TAPS**2 * width * classes)
        # Classes are the last axis: a [9 width, experts classes] matrix for the logits, a gather of columns
        # for maps.
        self.kernels = nnx.Param(kernels(rngs.params(), (TAPS, TAPS, width, experts, classes)))
        self.bias = nnx.Param(kernels(rngs.params(), (classes,)))
        self.dtype = jnp.dtype(spec.dtype)

    def route(
        self,
        patches: Float[Array, "batch grid_h grid_w width"],
        attention: Float[Array, "batch grid_h grid_w"],
    ) -> Float32[Array, "batch experts"]:
        """Compute each expert's weight in (0, 1) from the patches weighted by 1 - attention.

        sigmoid(W_mean mean(C) + W_max max(C)), where C = conv3x3(X (1 - a)) and mean and max are over
        positions.
        """
        weak = (1 - attention)[..., None]
        cues = self.conv3x3(patches.astype(jnp.float32) * weak)
        return jax.nn.sigmoid(self.route_mean(cues.mean((1, 2))) + self.route_max(cues.max((1, 2))))

    def logits(
        self, patches: Float[Array, "batch grid_h grid_w width"], routing: Float32[Array, "batch experts"]
    ) -> Float32[Array, "batch classes"]:
        """Compute the mean of the average-pooled dynamic convolution, without computing the convolution."""
        batch, grid_h, grid_w, width = patches.shape
        taps, total = pooling_weights(grid_h, grid_w)
        pooled = jnp.einsum(
            "bhwd,hwt->btd", patches, taps.astype(patches.dtype), preferred_element_type=jnp.float32
        ).astype(patches.dtype)
        kernels = self.kernels[...].astype(self.dtype)
        by_expert = jnp.dot(
            pooled.reshape(batch, -1),
            kernels.reshape(TAPS**2 * width, -1),
            preferred_element_type=jnp.float32,
        ).reshape(batch, *kernels.shape[-2:])
        return jnp.einsum("be,bek->bk", routing, by_expert) + self.bias[None] * total

    def class_maps(
        self,
        patches: Float[Array, "batch grid_h grid_w width"],
        routing: Float32[Array, "batch experts"],
        classes: Int[Array, "batch asked"],
    ) -> Float32[Array, "batch asked grid_h grid_w"]:
        """Compute the dynamic convolution's output F, before pooling, for the requested classes only."""
        grid_h, grid_w = patches.shape[1:3]
        columns = jnp.take(self.kernels[...], classes, axis=-1)  # [3, 3, width, experts, batch, asked]
        kernel = jnp.einsum("yxdebc,be->bcyxd", columns, routing).astype(patches.dtype)
        by_tap = jnp.einsum("bhwd,bcyxd->bcyxhw", patches, kernel, preferred_element_type=jnp.float32)
        padded = jnp.pad(by_tap, [(0, 0)] * 4 + [(1, 1)] * 2)
        shifted = [
            padded[:, :, y, x, y : y + grid_h, x : x + grid_w] for y in range(TAPS) for x in range(TAPS)
        ]
        return sum(shifted[1:], shifted[0]) + self.bias[...][classes][..., None, None]


def pooling_weights(grid_h: int, grid_w: int) -> tuple[Float32[np.ndarray, "grid_h grid_w taps"], float]:
    """Return the weight of each token in the logits through each kernel tap, and of the bias.

    The mean over positions of a zero-padded 3x3 average pool weights the convolution's output at (y, x)
    by w(y, x) = (windows that cover it) / (9 x positions). Tap (i, j) of that output reads the token at
    (y + i - 1, x + j - 1).
    """

    def covering(length: int) -> np.ndarray:
        positions = np.arange(length)
        return (np.abs(positions[:, None] - positions) <= TAPS // 2).sum(1) / TAPS

    weights = np.outer(covering(grid_h), covering(grid_w)) / (grid_h * grid_w)
    padded = np.pad(weights, TAPS // 2)
    taps = [
        padded[TAPS - 1 - y : TAPS - 1 - y + grid_h, TAPS - 1 - x : TAPS - 1 - x + grid_w]
        for y in range(TAPS)
        for x in range(TAPS)
    ]
    return np.stack(taps, axis=-1).astype(np.float32), float(weights.sum())

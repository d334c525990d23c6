"""Dense and convolutional layers, whose biases have gradients in float32."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32

DenseGradients = tuple[Array, Array, Array]
"""With respect to tokens, kernel and bias."""


class Dense(nnx.Linear):
    """Flax's `Linear` with a bias, for tokens, and with the gradients of `project`."""

    def __call__(
        self, inputs: Float[Array, "batch tokens width"], out_sharding: None = None
    ) -> Float[Array, "batch tokens features"]:
        """Project each token."""
        assert self.bias is not None
        tokens, kernel = self.promote_dtype((inputs, self.kernel[...]), dtype=self.dtype)
        return project(tokens, kernel, self.bias[...])


class PatchEmbedding(nnx.Conv):
    """Flax's `Conv` of non-overlapping patches, computed as one matrix product.

    cuDNN convolves three channels in 16 bits without the GPU's matrix units, which takes 0.6 ms for 128
    images on an H100.
    """

    def __call__(
        self, inputs: Float[Array, "batch height width channels"], out_sharding: None = None
    ) -> Float[Array, "batch patches features"]:
        """Embed each patch; the sides of the images are multiples of the patch's."""
        assert self.bias is not None
        kernel: Array
        images, kernel = self.promote_dtype((inputs, self.kernel[...]), dtype=self.dtype)
        batch, height, width, _ = images.shape
        patch_h, patch_w, channels, features = kernel.shape
        split = images.reshape(batch, height // patch_h, patch_h, width // patch_w, patch_w, channels)
        patches = split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, patch_h * patch_w * channels)
        return project(patches, kernel.reshape(-1, features), self.bias[...])


class Conv3x3(nnx.Module):
    """A zero-padded 3x3 convolution in `dtype`, whose bias is added in float32.

    Flax's `Conv` adds the bias in `dtype`, and so sums the bias's gradient over all positions in 16 bits.
    """

    def __init__(self, width: int, features: int, *, dtype: str, init: nnx.Initializer, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (3, 3, width, features)))
        self.bias = nnx.Param(init(rngs.params(), (features,)))
        self.dtype = jnp.dtype(dtype)

    def __call__(
        self, inputs: Float[Array, "batch height width channels"]
    ) -> Float32[Array, "batch height width features"]:
        """Convolve each image."""
        outputs = jax.lax.conv_general_dilated(
            inputs.astype(self.dtype),
            self.kernel[...].astype(self.dtype),
            window_strides=(1, 1),
            padding=((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return outputs.astype(jnp.float32) + self.bias[None, None, None]


@jax.custom_vjp
def project(
    tokens: Float[Array, "batch tokens width"],
    kernel: Float[Array, "width features"],
    bias: Float[Array, " features"],
) -> Float[Array, "batch tokens features"]:
    """Compute tokens @ kernel + bias in the tokens' data type; the bias may be wider.

    The bias's gradient is summed in float32: GPUs would otherwise add up thousands of tokens in 16 bits.
    """
    return tokens @ kernel + bias[None, None].astype(tokens.dtype)


def _forward(tokens: Array, kernel: Array, bias: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return project(tokens, kernel, bias), (tokens, kernel, bias)


def _backward(residuals: tuple[Array, Array, Array], cotangent: Array) -> DenseGradients:
    return jax.lax.platform_dependent(*residuals, cotangent, cpu=_cpu_gradients, default=_gradients)


project.defvjp(_forward, _backward)


def _gradients(tokens: Array, kernel: Array, bias: Array, cotangent: Array) -> DenseGradients:
    """Compute the products as JAX derives them, without tracing the forward product again."""
    (to_tokens,) = jax.linear_transpose(lambda tokens: tokens @ kernel, tokens)(cotangent)
    (to_kernel,) = jax.linear_transpose(lambda kernel: tokens @ kernel, kernel)(cotangent)
    return to_tokens, to_kernel, cotangent.sum((0, 1), dtype=bias.dtype)


def _cpu_gradients(tokens: Array, kernel: Array, bias: Array, cotangent: Array) -> DenseGradients:
    """Compute the same gradients in a form that XLA maps to its fast CPU matrix product.

    XLA's derived form contracts over batch and tokens with a slower kernel and copies the cotangent once per
    use. Here both operands are flattened to matrices with the contracted axis last in the left one; the
    optimization barriers keep XLA from undoing that. The narrower matrix is transposed, because that copies
    less.
    """
    hold = jax.lax.optimization_barrier
    rows, cotangents = hold(
        (tokens.reshape(-1, tokens.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1]))
    )
    narrow_rows = rows.shape[1] <= cotangents.shape[1]
    to_kernel = hold(rows.T) @ cotangents if narrow_rows else hold(hold(cotangents.T) @ rows).T
    return (cotangents @ kernel.T).reshape(tokens.shape), to_kernel, cotangents.sum(0, dtype=bias.dtype)

"""The dense layer of the transformer blocks, with a backward pass of its own on CPUs."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

DenseGradients = tuple[Array, Array, Array]
"""With respect to tokens, kernel and bias."""


class Dense(nnx.Linear):
    """Flax's `Linear` with a bias, for tokens, and with the gradients of `_project`."""

    def __call__(
        self, inputs: Float[Array, "batch tokens width"], out_sharding: None = None
    ) -> Float[Array, "batch tokens features"]:
        """Project each token."""
        assert self.bias is not None
        return _project(*self.promote_dtype((inputs, self.kernel[...], self.bias[...]), dtype=self.dtype))


@jax.custom_vjp
def _project(tokens: Array, kernel: Array, bias: Array) -> Array:
    return tokens @ kernel + bias[None, None]


def _forward(tokens: Array, kernel: Array, bias: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _project(tokens, kernel, bias), (tokens, kernel, bias)


def _backward(residuals: tuple[Array, Array, Array], cotangent: Array) -> DenseGradients:
    return jax.lax.platform_dependent(*residuals, cotangent, cpu=_cpu_gradients, default=_gradients)


_project.defvjp(_forward, _backward)


def _gradients(tokens: Array, kernel: Array, bias: Array, cotangent: Array) -> DenseGradients:
    """Compute the gradients as JAX derives them, without tracing the forward product again."""
    (to_tokens,) = jax.linear_transpose(lambda tokens: tokens @ kernel, tokens)(cotangent)
    (to_kernel,) = jax.linear_transpose(lambda kernel: tokens @ kernel, kernel)(cotangent)
    (to_bias,) = jax.linear_transpose(lambda bias: jnp.broadcast_to(bias, cotangent.shape), bias)(cotangent)
    return to_tokens, to_kernel, to_bias


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
    return (cotangents @ kernel.T).reshape(tokens.shape), to_kernel, cotangents.sum(0)

"""Dense and convolutional layers compared with NumPy in float64 and with Flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lctr_jax.models.dense import Conv3x3, Dense, PatchEmbedding, project

DRAWS = np.random.default_rng(0)


def draw(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def use_derivatives_of_other_platforms(monkeypatch):
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *args, cpu, default: default(*args))


@pytest.mark.parametrize("platform", ["cpu", "another"])
@pytest.mark.parametrize("features", [3, 7])  # narrower and wider than the tokens: another side is transposed
def test_value_and_gradients(monkeypatch, features, platform):
    if platform == "another":
        use_derivatives_of_other_platforms(monkeypatch)
    tokens, kernel, cotangent = draw(2, 4, 5, seed=0), draw(5, features, seed=1), draw(2, 4, features, seed=2)
    bias = draw(features, seed=3)
    layer = Dense(5, features, rngs=nnx.Rngs(0))
    assert layer.bias is not None
    layer.kernel[...], layer.bias[...] = jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32)

    graph, parameters = nnx.split(layer)
    value, pull = jax.vjp(
        lambda parameters, tokens: nnx.merge(graph, parameters)(tokens),
        parameters,
        jnp.asarray(tokens, jnp.float32),
    )
    to_layer, to_tokens = pull(jnp.asarray(cotangent, jnp.float32))

    np.testing.assert_allclose(value, tokens @ kernel + bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(to_tokens, cotangent @ kernel.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        to_layer["kernel"][...], np.einsum("btw,btf->wf", tokens, cotangent), rtol=1e-5
    )
    np.testing.assert_allclose(to_layer["bias"][...], cotangent.sum((0, 1)), rtol=1e-5, atol=1e-6)


def gradients(module, images):
    """Gradients of a sum of squares with respect to all parameters."""
    graph, state = nnx.split(module)
    return jax.grad(lambda state: jnp.square(nnx.merge(graph, state)(images)).sum())(state)


def assert_close(got, expected):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5 * float(jnp.abs(other).max()))


def test_patches_are_embedded_as_by_flaxs_convolution():
    shared = (3, 8, (4, 4), (4, 4))
    ours = PatchEmbedding(*shared, padding="VALID", rngs=nnx.Rngs(0))
    flax = nnx.Conv(*shared, padding="VALID", rngs=nnx.Rngs(0))
    images = jnp.asarray(DRAWS.normal(size=(2, 8, 12, 3)), jnp.float32)
    np.testing.assert_allclose(ours(images), flax(images).reshape(2, 6, 8), rtol=1e-5, atol=1e-5)
    assert_close(gradients(ours, images), gradients(flax, images))


def test_the_3x3_convolution_is_flaxs():
    init = nnx.initializers.normal(0.1)
    ours = Conv3x3(5, 7, dtype="float32", init=init, rngs=nnx.Rngs(0))
    flax = nnx.Conv(5, 7, (3, 3), padding=1, kernel_init=init, bias_init=init, rngs=nnx.Rngs(0))
    images = jnp.asarray(DRAWS.normal(size=(2, 6, 4, 5)), jnp.float32)
    np.testing.assert_allclose(ours(images), flax(images), rtol=1e-5, atol=1e-5)
    assert_close(gradients(ours, images), gradients(flax, images))


@pytest.mark.parametrize("platform", ["cpu", "another"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_gradient_of_a_bias_is_a_sum_in_float32(monkeypatch, dtype, platform):
    if platform == "another":
        use_derivatives_of_other_platforms(monkeypatch)
    cotangent = jnp.asarray(DRAWS.normal(1, 1, size=(16, 197, 4)), dtype)
    tokens, kernel = jnp.zeros((16, 197, 3), dtype), jnp.zeros((3, 4), dtype)
    _, pull = jax.vjp(lambda bias: project(tokens, kernel, bias), jnp.zeros(4))
    (got,) = jax.jit(pull)(cotangent)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, np.asarray(cotangent, np.float64).sum((0, 1)), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_convolutions_bias_has_a_gradient_in_float32(dtype):
    module = Conv3x3(3, 4, dtype=dtype, init=nnx.initializers.zeros, rngs=nnx.Rngs(0))
    factors = jnp.asarray(DRAWS.normal(1, 1, size=(16, 14, 14, 4)), jnp.float32)
    graph, state = nnx.split(module)
    images = jnp.zeros((16, 14, 14, 3))
    found = jax.grad(lambda state: (nnx.merge(graph, state)(images) * factors).sum())(state)
    np.testing.assert_allclose(found["bias"][...], np.asarray(factors, np.float64).sum((0, 1, 2)), rtol=1e-5)

"""The dense layer and its gradients, compared with NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lctr_jax.models.dense import Dense


def draw(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("platform", ["cpu", "another"])
@pytest.mark.parametrize("features", [3, 7])  # narrower and wider than the tokens: another side is transposed
def test_value_and_gradients(monkeypatch, features, platform):
    if platform == "another":
        monkeypatch.setattr(jax.lax, "platform_dependent", lambda *args, cpu, default: default(*args))
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

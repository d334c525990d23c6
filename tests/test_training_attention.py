from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from lctr_jax.models.attention_kernel import MAX_TOKENS, attention_kernel
from lctr_jax.models.plain_attention import plain_attention
from lctr_jax.models.training_attention import training_attention

HEADS, TOKENS, WIDTH = 3, 37, 48  # an odd number of tokens, as of every network here: cuDNN's form is padded


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) * 1.5, jnp.float32)


QKV = draw(2, TOKENS, 3 * WIDTH)


def plain(qkv):
    attended, weights = plain_attention(qkv, heads=HEADS)
    return attended, weights[:, :, 0].mean(1)


def kernel(qkv):
    return attention_kernel(qkv, HEADS, True)


def as_cudnn(qkv):
    return training_attention(qkv, heads=HEADS, implementation="xla")


def by_numpy(qkv):
    """Float64, an image and a head at a time."""
    attended, cls = np.zeros((2, TOKENS, WIDTH)), np.zeros((2, TOKENS))
    side = WIDTH // HEADS
    for image, columns in enumerate(np.asarray(qkv, np.float64)):
        for head in range(HEADS):
            q, k, v = (columns[:, i * WIDTH + head * side :][:, :side] for i in range(3))
            scores = np.exp(q @ k.T / side**0.5)
            weights = scores / scores.sum(1, keepdims=True)
            attended[image, :, head * side : (head + 1) * side] = weights @ v
            cls[image] += weights[0] / HEADS
    return attended, cls


def by_parts(qkv):
    return training_attention(qkv, heads=HEADS, implementation="cpu")


@pytest.mark.parametrize("attention", [plain, kernel, as_cudnn, by_parts])
def test_every_form_computes_softmax_attention(attention):
    for got, expected in zip(jax.jit(attention)(QKV), by_numpy(QKV), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("attention", [kernel, as_cudnn, by_parts])
def test_gradients_through_values_and_through_cls_equal_the_plain_forms(attention):
    weights = draw(2, TOKENS, WIDTH, seed=1), 10 * draw(2, TOKENS, seed=2)

    def loss(function, qkv):
        return sum((part * weight).sum() for part, weight in zip(function(qkv), weights, strict=True))

    expected, got = (jax.jit(jax.grad(lambda qkv, f=f: loss(f, qkv)))(QKV) for f in (plain, attention))
    np.testing.assert_allclose(got, expected, atol=2e-5 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("tokens", [197, 257, 261, 577, 785, 1025])
def test_cudnns_form_is_exact_for_every_networks_number_of_tokens(tokens):
    qkv, heads = draw(1, tokens, 2 * 3 * 8, seed=tokens), 2
    cotangents = draw(1, tokens, 2 * 8, seed=1), 100 * draw(1, tokens, seed=2)

    def plain(qkv):
        attended, weights = plain_attention(qkv, heads=heads)
        return attended, weights[:, :, 0].mean(1)

    def padded(qkv):
        return training_attention(qkv, heads=heads, implementation="xla")

    @jax.jit
    def results(qkv):
        values_and_pulls = [jax.vjp(function, qkv) for function in (padded, plain)]
        return [(*values, *pull(cotangents)) for values, pull in values_and_pulls]

    for got, expected in zip(*results(qkv), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("tokens", [36, 37])
def test_what_cudnn_is_given_has_an_even_number_of_tokens(monkeypatch, tokens):
    given = {}

    def attend(query, key, value, *, implementation, **lengths):
        given.update(lengths, tokens={array.shape[1] for array in (query, key, value)}, by=implementation)
        return value

    monkeypatch.setattr(jax.nn, "dot_product_attention", attend)
    attended, cls = training_attention(QKV[:, :tokens], heads=HEADS, implementation="cudnn")
    assert (given["by"], given["tokens"]) == ("cudnn", {tokens + tokens % 2})
    lengths = given["query_seq_lengths"], given["key_value_seq_lengths"]
    if tokens % 2:
        np.testing.assert_array_equal(lengths, np.full((2, 2), tokens))
    else:
        assert lengths == (None, None)
    assert (attended.shape[1], cls.shape[1]) == (tokens, tokens)


def test_more_tokens_than_the_tpus_kernel_takes_have_plain_attention():
    """As in evaluation at a larger size than the network's."""
    qkv = draw(1, MAX_TOKENS + 1, 3 * WIDTH)
    for got, expected in zip(
        training_attention(qkv, heads=HEADS, implementation="tpu"), plain(qkv), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_each_device_attends_to_its_own_rows(monkeypatch):
    monkeypatch.setattr("lctr_jax.models.training_attention.attention_kernel", lambda qkv, heads: kernel(qkv))
    mesh = Mesh(np.array(jax.devices()[:2]).reshape(2, 1), ("data", "fsdp"))
    rows = jax.NamedSharding(mesh, jax.P(("data", "fsdp")))

    @jax.jit
    def attend(qkv):
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return training_attention(qkv, heads=HEADS, implementation="tpu")

    attended, cls = attend(jax.device_put(QKV, rows))
    assert attended.sharding.is_equivalent_to(rows, attended.ndim)
    expected: Any = kernel(QKV)
    np.testing.assert_allclose(attended, expected[0], rtol=1e-5)
    np.testing.assert_allclose(cls, expected[1], rtol=1e-5)

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from lctr_jax.models.attention_kernel import MAX_TOKENS, attention_kernel
from lctr_jax.models.plain_attention import plain_attention
from lctr_jax.models.training_attention import choose_implementation, training_attention

HEADS, TOKENS, WIDTH = 3, 37, 48


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
    for got, expected in zip(attention(QKV), by_numpy(QKV), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("attention", [kernel, as_cudnn, by_parts])
def test_gradients_through_values_and_through_cls_equal_the_plain_forms(attention):
    weights = draw(2, TOKENS, WIDTH, seed=1), 10 * draw(2, TOKENS, seed=2)

    def loss(function, qkv):
        return sum((part * weight).sum() for part, weight in zip(function(qkv), weights, strict=True))

    expected, got = (jax.grad(lambda qkv, f=f: loss(f, qkv))(QKV) for f in (plain, attention))
    np.testing.assert_allclose(got, expected, atol=2e-5 * float(jnp.abs(expected).max()))


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
    np.testing.assert_allclose(attended, kernel(QKV)[0], rtol=1e-5)
    np.testing.assert_allclose(cls, kernel(QKV)[1], rtol=1e-5)


def pretend(monkeypatch, platform, capability="9.0"):
    device = types.SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])


@pytest.mark.parametrize(
    ("asked", "platform", "dtype", "tokens", "expected"),
    [
        ("auto", "cpu", jnp.bfloat16, 197, "cpu"),
        ("auto", "tpu", jnp.float32, 197, "tpu"),
        ("auto", "tpu", jnp.float32, MAX_TOKENS + 1, None),
        ("auto", "gpu", jnp.bfloat16, 197, "cudnn"),
        ("auto", "gpu", jnp.float32, 197, None),
        ("plain", "tpu", jnp.bfloat16, 197, None),
        ("tpu", "cpu", jnp.bfloat16, 197, "tpu"),  # as when a program is compiled for another machine
        ("xla", "gpu", jnp.float32, 197, "xla"),
    ],
)
def test_auto_means_the_devices_own_kernel(monkeypatch, asked, platform, dtype, tokens, expected):
    pretend(monkeypatch, platform)
    implementation = choose_implementation(asked, tokens=tokens, head_width=64, dtype=jnp.dtype(dtype))
    assert implementation == expected


@pytest.mark.parametrize(
    ("capability", "head_width", "expected"),
    [
        ("8.0", 128, "cudnn"),
        ("12.0", 80, "cudnn"),
        ("7.5", 64, None),  # a T4: cuDNN would raise
        ("gfx90a", 64, None),
        ("9.0", 12, None),
        ("8.0", 136, None),
    ],
)
def test_auto_is_plain_where_cudnn_has_no_attention(monkeypatch, capability, head_width, expected):
    pretend(monkeypatch, "gpu", capability)
    dtype = jnp.dtype(jnp.bfloat16)
    assert choose_implementation("auto", tokens=197, head_width=head_width, dtype=dtype) == expected

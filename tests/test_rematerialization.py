from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lctr_jax.models.layers import gelu
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.steps import gradients

SIZE: dict[str, Any] = {
    "num_classes": 5,
    "width": 64,
    "depth": 6,
    "heads": 2,
    "image_size": 64,
    "patch_size": 8,
}
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(4, 64, 64, 3)), jnp.float32)
TARGETS = jax.nn.one_hot(jnp.array([0, 3, 1, 4]), 5)


def compiled(rematerialize):
    spec = ModelSpec(**SIZE, drop_path=0.1, rematerialize=rematerialize)
    parameters = initialize(spec, jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), len(IMAGES))
    arguments = (parameters, IMAGES, TARGETS, keys)
    return jax.jit(lambda *a: gradients(spec, *a)).lower(*arguments).compile(), arguments


@pytest.fixture(scope="module")
def steps():
    return {name: compiled(name) for name in ("nothing", "elementwise", "blocks")}


def test_what_is_made_again_does_not_change_the_gradient(steps):
    program, arguments = steps["nothing"]
    expected = program(*arguments)
    for name in ("elementwise", "blocks"):
        program, arguments = steps[name]
        for got, want in zip(jax.tree.leaves(program(*arguments)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_the_more_is_made_again_the_less_memory_is_needed(steps):
    needed = [steps[name][0].memory_analysis().temp_size_in_bytes for name in steps]
    assert needed[0] > 1.5 * needed[1] > 1.5 * 1.5 * needed[2]


def test_gelus_own_derivative_is_that_of_gelu():
    values = jnp.linspace(-8, 8, 4001)
    expected = jax.vmap(jax.grad(lambda x: jax.nn.gelu(x, approximate=False)))(values)
    np.testing.assert_allclose(jax.vmap(jax.grad(gelu))(values), expected, atol=2e-7)

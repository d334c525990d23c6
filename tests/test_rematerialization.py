import functools
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


def compiled(rematerialize, layer_loop):
    spec = ModelSpec(**SIZE, drop_path=0.1, rematerialize=rematerialize, layer_loop=layer_loop)
    parameters = initialize(spec, jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), len(IMAGES))
    arguments = (parameters, IMAGES, TARGETS, keys)
    return jax.jit(lambda *a: gradients(spec, *a)).lower(*arguments).compile(), arguments


@pytest.fixture(scope="module")
def steps():
    cases = [(name, "scan") for name in ("nothing", "elementwise", "blocks")]
    return {case: compiled(*case) for case in [*cases, ("elementwise", "unroll"), ("blocks", "unroll")]}


def test_neither_recomputation_nor_the_loop_changes_the_gradient(steps):
    program, arguments = steps["nothing", "scan"]
    expected = program(*arguments)
    for program, arguments in steps.values():
        for got, want in zip(jax.tree.leaves(program(*arguments)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_the_more_is_made_again_the_less_memory_is_needed(steps):
    needed = {case: program.memory_analysis().temp_size_in_bytes for case, (program, _) in steps.items()}
    assert needed["nothing", "scan"] > 1.5 * needed["elementwise", "scan"]
    assert needed["elementwise", "scan"] > 1.5 * needed["blocks", "scan"]


def test_unrolled_blocks_are_no_loop(steps):
    loops = {case: program.as_text().count(" while(") for case, (program, _) in steps.items()}
    assert loops["elementwise", "scan"] > loops["elementwise", "unroll"]


def test_gelu_and_its_derivative_are_those_of_jax():
    values = jnp.linspace(-8, 8, 4001)
    reference = functools.partial(jax.nn.gelu, approximate=False)
    np.testing.assert_allclose(gelu(values), reference(values), atol=1e-6)
    expected = jax.vmap(jax.grad(reference))(values)
    np.testing.assert_allclose(jax.vmap(jax.grad(gelu))(values), expected, atol=2e-7)


def test_gelu_of_16_bit_values_is_computed_in_float32():
    values = jnp.linspace(-4, 4, 801).astype(jnp.bfloat16)
    exact = jax.nn.gelu(values.astype(jnp.float32), approximate=False)
    half_a_unit = 2.0**-8
    np.testing.assert_allclose(gelu(values).astype(jnp.float32), exact, rtol=half_a_unit, atol=1e-6)

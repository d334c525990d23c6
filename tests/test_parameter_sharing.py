"""FSDP: where parameters are stored, and what devices exchange."""

import functools
import re
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, PartitionSpec

from benchmarks import hlo
from benchmarks.programs import lower_ours
from lctr_jax.distributed.mesh import BATCH_AXES, state_shardings
from lctr_jax.models.parameters import parameter_shapes, read_dtypes
from lctr_jax.models.spec import ModelSpec

DEPTH, WIDTH = 3, 32
SIZE: dict[str, Any] = {
    "num_classes": 24,
    "width": WIDTH,
    "depth": DEPTH,
    "heads": 2,
    "image_size": 64,
    "patch_size": 8,
}
SPEC = ModelSpec(**SIZE, drop_path=0.1)
BATCH = 64  # tokens enough that activations outweigh parameters, as they do at published sizes


def mesh_of(fsdp: int) -> Mesh:
    devices = np.array(jax.devices()).reshape(-1, fsdp)
    return Mesh(devices, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


@functools.cache
def program(fsdp: int, rematerialize: str = "elementwise") -> hlo.Program:
    spec = ModelSpec(**SIZE, drop_path=0.1, rematerialize=rematerialize)
    text = lower_ours(spec, mesh_of(fsdp), BATCH).compile().as_text()
    assert text is not None
    return hlo.parse(text)


@pytest.mark.parametrize("fsdp", [2, 8])
def test_only_parameters_and_their_gradients_cross(fsdp):
    totals = Counter()
    for one in program(fsdp).collectives():
        totals[one.kind] += one.num_bytes * one.executions
    assert set(totals) <= {"all-gather", "reduce-scatter", "all-reduce"}
    parameters = sum(4 * leaf.size for leaf in jax.tree.leaves(parameter_shapes(SPEC)))
    assert 0.9 * parameters < totals["all-gather"] < 2 * parameters  # in forward and again in backward
    assert sum(totals.values()) < 3 * parameters


@pytest.mark.parametrize("rematerialize", ["elementwise", "nothing", "blocks"])
def test_no_device_ever_holds_a_kernel_of_all_layers(rematerialize):
    shapes = set(re.findall(r"f32\[([\d,]+)\]", program(8, rematerialize).text))
    assert f"{WIDTH},{4 * WIDTH}" in shapes or f"{4 * WIDTH},{WIDTH}" in shapes  # one layer's, gathered
    assert f"{DEPTH},{WIDTH},{4 * WIDTH // 8}" in shapes  # this device's part of all
    assert not shapes & {f"{DEPTH},{WIDTH},{4 * WIDTH}", f"{DEPTH},{4 * WIDTH},{WIDTH}"}


def test_kernels_are_split_but_not_between_layers_and_vectors_are_copied():
    # 1000 layers of a 6 x 8 kernel: the layers' axis is the longest, and no axis to split.
    tree = {
        "blocks": {"kernel": jnp.zeros((1000, 6, 8)), "bias": jnp.zeros((1000, 8))},
        "head": {"kernel": jnp.zeros((16, 6)), "odd": jnp.zeros((3, 5))},
        "cls_token": jnp.zeros((1, 1, 8)),
    }
    specs = jax.tree.map(lambda sharding: sharding.spec, state_shardings(mesh_of(8), tree))
    assert specs == {
        "blocks": {"kernel": PartitionSpec(None, None, "fsdp"), "bias": PartitionSpec()},
        "head": {"kernel": PartitionSpec("fsdp"), "odd": PartitionSpec()},
        "cls_token": PartitionSpec(),
    }


def test_kernels_cross_in_the_type_that_their_layer_computes_in():
    dtypes = read_dtypes(ModelSpec(**SIZE, dtype="bfloat16"))
    assert dtypes["backbone"]["blocks"]["mlp"]["fc1"] == {"kernel": jnp.bfloat16, "bias": jnp.float32}
    assert dtypes["backbone"]["norm"]["scale"] == jnp.float32
    assert dtypes["cdm"]["kernels"] == jnp.bfloat16
    assert dtypes["cdm"]["route_mean"]["kernel"] == jnp.float32

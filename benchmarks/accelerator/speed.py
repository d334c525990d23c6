"""Time, memory and share of the peak rate of training and evaluation steps on this machine's devices."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Compiled

from benchmarks.accelerator.scale import Scale, implementations
from benchmarks.analytic import forward_flops, training_flops
from benchmarks.programs import fresh_state, our_step, published_spec
from benchmarks.sides import random_batch
from lctr_jax.distributed.mesh import batch_sharding, make_mesh, put_batch, replicated
from lctr_jax.evaluation.forward import forward_program
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec

EVALUATION = "evaluation"


def cases(scale: Scale) -> list[Any]:
    """Return (size, images per device, dtype, attention, rematerialize), the default of each size first."""
    standard = [("auto", scale.rematerialize[0]), (EVALUATION, "")]
    others = [("auto", rule) for rule in scale.rematerialize[1:]]
    others += [(name, scale.rematerialize[0]) for name in ("plain", *implementations())]
    return [
        (size, images, dtype, *setting)
        for settings in (standard, others)
        for dtype in scale.dtypes
        for setting in settings
        for size, images in scale.backbones
    ]


def measure_case(scale: Scale, case: Any) -> list[str]:
    """Measure a case: time, rate, share of the peak rate, memory, compilation time."""
    size, images, dtype, attention, rematerialize = case
    mesh = make_mesh()
    batch = images * mesh.size
    spec = published_spec(size, classes=scale.classes, dtype=dtype)
    if attention == EVALUATION:
        call, temporary, compiling = prepare_evaluation(spec, batch, scale)
        flops = forward_flops(spec)
    else:
        spec = dataclasses.replace(spec, attention=attention, rematerialize=rematerialize)
        call, temporary, compiling = prepare_training(spec, batch, scale)
        flops = training_flops(spec)
    seconds = median_seconds(call, rounds=scale.rounds)
    share = flops * batch / seconds / (peak_flops(dtype, scale.matmul_side) * mesh.size)
    name = "training: " + attention if attention != EVALUATION else attention
    return [
        *(size, dtype, str(batch), name, rematerialize),
        *(f"{1000 * seconds:.1f}", f"{batch / seconds:,.0f}", f"{100 * share:.0f}"),
        *("" if temporary is None else f"{temporary / 1e6:,.0f}", f"{compiling:.0f}"),
    ]


Prepared = tuple[Callable[[], Any], int | None, float]
"""A blocking call, the program's temporary bytes per device, seconds to compile it."""


def prepare_training(spec: ModelSpec, batch: int, scale: Scale) -> Prepared:
    """Prepare the training step of `train.py`."""
    mesh = make_mesh()
    image, label = random_batch(batch, scale.classes)
    on_devices = put_batch({"image": image, "label": label}, batch_sharding(mesh))
    state = jax.device_put(fresh_state(spec), replicated(mesh))
    start = time.perf_counter()
    step = our_step(spec, mesh, state).lower(state, on_devices).compile()
    compiling = time.perf_counter() - start

    def train() -> Any:
        nonlocal state
        state, metrics = step(state, on_devices)
        return jax.block_until_ready(metrics)

    return train, temporary_bytes(step), compiling


def prepare_evaluation(spec: ModelSpec, batch: int, scale: Scale) -> Prepared:
    """Prepare the forward pass of evaluation, on images that are on the devices already."""
    mesh = make_mesh()
    image, label = random_batch(batch, scale.classes)
    placed = put_batch({"image": image, "label": label}, batch_sharding(mesh))
    parameters = jax.device_put(initialize(spec, jax.random.key(0)), replicated(mesh))
    start = time.perf_counter()
    forward = forward_program(spec, mesh).lower(parameters, placed["image"], placed["label"]).compile()
    compiling = time.perf_counter() - start

    def evaluate() -> Any:
        return jax.block_until_ready(forward(parameters, placed["image"], placed["label"]))

    return evaluate, temporary_bytes(forward), compiling


def temporary_bytes(program: Compiled) -> int | None:
    """Return the temporary memory of a compiled program per device, if the platform reports it."""
    planned = program.memory_analysis()
    return planned.temp_size_in_bytes if planned else None


def median_seconds(call: Callable[[], Any], *, rounds: int) -> float:
    """Return the median time of `rounds` calls, after one warm-up call."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


@functools.cache
def peak_flops(dtype: str, side: int) -> float:
    """Measure a device's FLOP/s in products of two square matrices, ten in a row to hide dispatch."""

    @jax.jit
    def multiply(matrix):
        product = functools.partial(jnp.dot, preferred_element_type=matrix.dtype)
        return jax.lax.fori_loop(0, 10, lambda _, value: product(value, matrix), matrix)

    matrix = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype) / side**0.5
    call = functools.partial(lambda: multiply(matrix).block_until_ready())
    call()
    seconds = min(_once(call) for _ in range(5))
    return 10 * 2.0 * side**3 / seconds


def _once(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

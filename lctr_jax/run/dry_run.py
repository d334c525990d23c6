"""`--dry_run`: estimate the cost of a training run from one step; nothing is written."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import jax
from jax.stages import Compiled, Wrapped
from rich.console import Console

from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run import assembly
from lctr_jax.run.data_workers import compare_rates, images_made
from lctr_jax.run.experiment import Experiment
from lctr_jax.training.flops import product_flops
from lctr_jax.training.parameter_table import parameter_table
from lctr_jax.training.plan import Plan
from lctr_jax.training.state import TrainState
from lctr_jax.training.steps import Batch


def dry_run(experiment: Experiment) -> None:
    """Build a training, take a step on its first batch, and print shapes, memory and time.

    The step is taken twice and the second one is timed, because the first one includes memory allocation and
    autotuning. The run's folder is neither read nor written.

    Raises:
        ValueError: an option is invalid, or the data does not match.
        FileNotFoundError: the data or the initial checkpoint is missing.
    """
    config = experiment.config
    split, spec, _ = assembly.open_training(experiment)
    batches = assembly.open_batches(experiment, split, spec)
    plan = Plan(config.train, batches.steps_per_epoch)
    state = assembly.initialize_state(experiment, spec, init_from=experiment.initial_weights)
    console = Console(quiet=jax.process_index() != 0, highlight=False)
    console.print(parameter_table(state.weights))
    made = images_made(experiment.workers, batches)
    console.print(f"{experiment.workers}", markup=False)
    with closing(assembly.feed_devices(experiment, batches)) as feed:
        (batch, _), seconds_reading = _timed(lambda: next(feed))
    _print_shapes(console, spec, state.weights, batch)

    # Counted with plain attention, because a trace does not show the products inside a fused kernel.
    plain = dataclasses.replace(spec, attention="plain")
    counted, step_fn = (
        assembly.compile_training(
            config, experiment.mesh, state, each, steps_per_epoch=batches.steps_per_epoch
        )
        for each in (plain, spec)
    )
    flops = product_flops(counted, state, batch)
    costs = {
        "first batch": f"{seconds_reading:.1f} s",
        **_costs(step_fn, state, batch, plan, flops=flops, made=made),
    }
    for name, text in costs.items():
        console.print(f"{name:<13}{text}")


def _costs(
    step_fn: Wrapped, state: TrainState, batch: Batch, plan: Plan, *, flops: int, made: float
) -> dict[str, str]:
    compiled, seconds_compiling = _timed(lambda: step_fn.lower(state, batch).compile())
    (state, metrics), seconds_first = _timed(lambda: compiled(state, batch))
    _, seconds = _timed(lambda: compiled(state, batch))
    training = timedelta(seconds=round(plan.total_steps * seconds))
    return {
        "loss": f"{metrics.loss:.4f}",
        "memory": _memory(compiled),
        "compute": f"{flops / 1e9:,.1f} GFLOP per step in products and convolutions, on all devices; "
        f"{flops / seconds / 1e12:.3f} TFLOP/s",
        "compilation": f"{seconds_compiling:.1f} s; the first step took {seconds_first:.2f} s",
        "step": f"{seconds:.3f} s, {plan.options.batch_size / seconds:,.1f} images/s",
        "data": compare_rates(taken=plan.options.batch_size / seconds, made=made),
        "training": f"{plan.total_steps:,} steps, {training} if the data keeps up, plus evaluation",
    }


def _print_shapes(console: Console, spec: ModelSpec, parameters: Parameters, batch: Batch) -> None:
    images = jax.ShapeDtypeStruct(batch["image"].shape, "float32")
    outputs = jax.eval_shape(lambda parameters, images: bind(spec, parameters)(images), parameters, images)
    for name, arrays in {"input": batch, "output": outputs._asdict()}.items():
        shapes = [
            f"{key} {array.dtype}{list(array.shape)}" for key, array in arrays.items() if array is not None
        ]
        console.print(f"{name:<13}{', '.join(shapes)}", markup=False)


def _memory(compiled: Compiled) -> str:
    """Describe the memory per device as planned by the compiler."""
    planned = compiled.memory_analysis()
    assert planned is not None  # available from the compilers for CPU, GPU and TPU
    peak = planned.temp_size_in_bytes + planned.argument_size_in_bytes
    peak += planned.output_size_in_bytes - planned.alias_size_in_bytes
    return (
        f"{peak / 2**20:,.0f} MiB per device: {planned.argument_size_in_bytes / 2**20:,.0f} state and batch, "
        f"{planned.temp_size_in_bytes / 2**20:,.0f} for the step itself"
    )


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return a function's result, once it is on the devices, and the seconds it took."""
    began = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - began

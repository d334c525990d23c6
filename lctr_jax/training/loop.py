"""The training loop: feed the step, log, evaluate and save."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import optax

from lctr_jax.training.log import RunLog
from lctr_jax.training.meter import Meter
from lctr_jax.training.state import TrainState
from lctr_jax.training.steps import Batch, StepMetrics


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train, and how often to do what, in steps; 0 for never (the last step is always saved)."""

    total_steps: int
    steps_per_epoch: int
    batch_size: int
    log_every: int
    save_every: int
    evaluate_every: int


def train(
    state: TrainState,
    step_fn: Callable[[TrainState, Batch], tuple[TrainState, StepMetrics]],
    batches: Iterator[Batch],
    *,
    plan: Plan,
    schedule: optax.Schedule,
    log: RunLog,
    save: Callable[[TrainState, int], Any],
    evaluate: Callable[[TrainState, int], Any],
) -> TrainState:
    """Train from `state.step` to `plan.total_steps`; `batches` start with that step's.

    Raises:
        ValueError: the loss is not finite.
    """
    meter = Meter(
        log,
        schedule,
        total_steps=plan.total_steps,
        steps_per_epoch=plan.steps_per_epoch,
        batch_size=plan.batch_size,
        log_every=plan.log_every,
    )
    first = int(state.step) + 1
    for step in range(first, plan.total_steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        given = time.perf_counter()
        state, metrics = step_fn(state, batch)
        if step == first:
            seconds = time.perf_counter() - asked
            log.say(f"first batch and compilation: {seconds:.1f} s")
            meter.skip(seconds)
        meter.add(step, metrics, seconds_waiting=given - asked if step > first else 0.0)
        if _due(step, plan.evaluate_every, plan.total_steps):
            paused = time.perf_counter()
            evaluate(state, step)
            meter.skip(time.perf_counter() - paused)
        if _due(step, plan.save_every, plan.total_steps) or step == plan.total_steps:
            meter.flush(step)  # first, so that a diverged state is never saved
            save(state, step)
    return state


def _due(step: int, every: int, total_steps: int) -> bool:
    return every > 0 and step % every == 0 and step < total_steps

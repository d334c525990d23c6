"""The training loop: feed the step, log, evaluate and save."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import optax

from lctr_jax.training.interruption import Interrupted, Interruption
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
    skip_nonfinite: bool = False


def train(
    state: TrainState,
    step_fn: Callable[[TrainState, Batch], tuple[TrainState, StepMetrics]],
    batches: Iterator[tuple[Batch, Sequence[str]]],
    *,
    plan: Plan,
    schedule: optax.Schedule,
    log: RunLog,
    save: Callable[[TrainState, int, bool], Any],
    evaluate: Callable[[TrainState, int], Any],
    interruption: Interruption,
    looked: bool = True,
) -> TrainState:
    """Train from `state.step` to `plan.total_steps`; `batches`, with their ids, start with that step's.

    `save` is given a state, its step, and whether the evaluation due there, if any, is done: `looked`, which
    a resumed run gives back, so that one that was stopped comes first.

    Raises:
        NonFiniteLossError: the loss or the gradient of a step is not finite; no such state is saved.
        Interrupted: the run was asked to stop; its state is saved.
    """
    meter = Meter(
        log,
        schedule,
        total_steps=plan.total_steps,
        steps_per_epoch=plan.steps_per_epoch,
        batch_size=plan.batch_size,
        log_every=plan.log_every,
        skip_nonfinite=plan.skip_nonfinite,
    )

    def look() -> None:
        jax.block_until_ready(state)  # steps under way count as training
        paused = time.perf_counter()
        log.say(f"step {step}: evaluating")
        evaluate(state, step)
        meter.skip(time.perf_counter() - paused)

    step = int(state.step)
    first = step + 1
    before: StepMetrics | None = None
    try:
        if not looked:
            look()
            looked = True
        for step in range(first, plan.total_steps + 1):
            asked = time.perf_counter()
            batch, ids = next(batches)
            waited = time.perf_counter() - asked
            if before is None or not before.loss.is_ready():  # pyright: ignore[reportAttributeAccessIssue]
                waited = 0.0  # they had the step before to work on, or nothing to do yet
            state, metrics = step_fn(state, batch)
            before = metrics
            looked = not _due(step, plan.evaluate_every, plan.total_steps)
            if step == first:
                seconds = time.perf_counter() - asked
                log.say(f"first batch and compilation: {seconds:.1f} s")
                meter.skip(seconds)
                interruption.listen()  # a stop before this step would have lost nothing
            meter.add(step, metrics, ids, seconds_waiting=waited)
            interruption.check()
            if not looked:
                look()
                looked = True
            if _due(step, plan.save_every, plan.total_steps) or step == plan.total_steps:
                meter.flush(step)  # first, so that a diverged state is never saved
                save(state, step, True)
    except Interrupted:
        meter.flush(step)
        save(state, step, looked)
        raise
    return state


def _due(step: int, every: int, total_steps: int) -> bool:
    return every > 0 and step % every == 0 and step < total_steps

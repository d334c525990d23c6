"""The training loop: feed the step, log, evaluate and save."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import optax

from lctr_jax.distributed.preemption import Interrupted, Interruption
from lctr_jax.training.log import RunLog
from lctr_jax.training.meter import Meter
from lctr_jax.training.state import TrainState
from lctr_jax.training.steps import Batch, StepMetrics


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train, and how often to do what, in steps; 0 for never.

    The last step is always saved, and is evaluated here with `evaluate_last` alone.
    """

    total_steps: int
    steps_per_epoch: int
    batch_size: int
    log_every: int
    save_every: int
    evaluate_every: int
    evaluate_last: bool = False
    skip_nonfinite: bool = False

    def saves_at(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        return step == self.total_steps or _divides(self.save_every, step)

    def evaluates_at(self, step: int) -> bool:
        """Whether an evaluation is due after this step."""
        return self.evaluate_last if step == self.total_steps else _divides(self.evaluate_every, step)


class Training:
    """A training from `state.step` on; `batches`, with their ids, start with that step's.

    `save` is given a state, its step, and whether the evaluation due there, if any, is done: `looked`, which
    a resumed run gives back, so that one that was stopped comes first.
    """

    def __init__(
        self,
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
    ):
        self._state, self._step_fn, self._batches = state, step_fn, batches
        self._plan, self._log, self._interruption = plan, log, interruption
        self._save, self._evaluate, self._looked = save, evaluate, looked
        self._step = int(state.step)
        self._before: StepMetrics | None = None  # what the step before gives; None before the first
        self._meter = Meter(
            log,
            schedule,
            total_steps=plan.total_steps,
            steps_per_epoch=plan.steps_per_epoch,
            batch_size=plan.batch_size,
            log_every=plan.log_every,
            skip_nonfinite=plan.skip_nonfinite,
        )

    def run(self) -> TrainState:
        """Train to the plan's last step, and return the state there.

        Raises:
            NonFiniteLossError: the loss or the gradient of a step is not finite; no such state is saved.
            Interrupted: the run was asked to stop; its state is saved.
        """
        try:
            self._look_if_due()
            while self._step < self._plan.total_steps:
                self._step += 1
                self._take_step()
                self._looked = not self._plan.evaluates_at(self._step)
                self._interruption.check()
                self._look_if_due()
                if self._plan.saves_at(self._step):
                    self._keep()
        except Interrupted:
            self._keep()
            raise
        return self._state

    def _take_step(self) -> None:
        asked = time.perf_counter()
        batch, ids = next(self._batches)
        waited = time.perf_counter() - asked
        before, first = self._before, self._before is None
        if before is None or not before.loss.is_ready():  # pyright: ignore[reportAttributeAccessIssue]
            waited = 0.0  # the devices had the step before to work on, or nothing to do yet
        self._state, metrics = self._step_fn(self._state, batch)
        self._before = metrics
        if first:
            seconds = time.perf_counter() - asked
            self._log.say(f"first batch and compilation: {seconds:.1f} s")
            self._meter.skip(seconds)
            self._interruption.listen()  # a stop before this step would have lost nothing
        self._meter.add(self._step, metrics, ids, seconds_waiting=waited)

    def _look_if_due(self) -> None:
        if self._looked:
            return
        jax.block_until_ready(self._state)  # steps under way count as training
        paused = time.perf_counter()
        self._log.say(f"step {self._step}: evaluating")
        self._evaluate(self._state, self._step)
        self._meter.skip(time.perf_counter() - paused)
        self._looked = True

    def _keep(self) -> None:
        self._meter.flush(self._step)  # first, so that a diverged state is never saved
        self._save(self._state, self._step, self._looked)


def _divides(every: int, step: int) -> bool:
    return every > 0 and step % every == 0

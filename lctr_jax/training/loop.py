"""The training loop: feed the step, log, evaluate and save."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.stopping import Interrupted
from lctr_jax.training.log import RunLog
from lctr_jax.training.meter import Meter
from lctr_jax.training.plan import Action, Agenda
from lctr_jax.training.state import TrainState
from lctr_jax.training.steps import Batch, StepMetrics


class Training:
    """A training run from the current step of `agenda` on; `batches`, with their ids, start at that step.

    `save` receives a state, its step, and whether the validation due at that step, if any, is done. A run
    resumed from this checkpoint starts its agenda with that value, so an interrupted validation is repeated
    first. `evaluate` returns whether training should stop there.
    """

    def __init__(
        self,
        state: TrainState,
        step_fn: Callable[[TrainState, Batch], tuple[TrainState, StepMetrics]],
        batches: Iterator[tuple[Batch, Sequence[str]]],
        *,
        agenda: Agenda,
        log: RunLog,
        save: Callable[[TrainState, int, bool], Any],
        evaluate: Callable[[TrainState, int], bool],
        interruption: Interruption,
    ):
        self._state, self._step_fn, self._batches = state, step_fn, batches
        self._agenda, self._log, self._interruption = agenda, log, interruption
        self._save, self._evaluate = save, evaluate
        self._before: StepMetrics | None = None  # metrics of the previous step; None before the first
        self._meter = Meter(log, agenda.plan)

    def run(self) -> TrainState:
        """Train to the last step of the plan, and return the final state.

        Raises:
            NonFiniteLossError: the loss or gradient of a step is not finite; no such state is saved.
            Interrupted: the run was asked to stop; its state is saved.
        """
        actions = {
            Action.STEP: self._take_step,
            Action.EVALUATE: self._run_evaluation,
            Action.SAVE: self._keep,
        }
        try:
            while (action := self._agenda.next) is not None:
                actions[action]()
                self._agenda.done(action)
                if action is Action.STEP:
                    self._interruption.check()
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
            waited = 0.0  # the devices were still busy with the previous step, or had nothing to do yet
        self._state, metrics = self._step_fn(self._state, batch)
        self._before = metrics
        if first:
            seconds = time.perf_counter() - asked
            self._log.say(f"first batch and compilation: {seconds:.1f} s")
            self._meter.skip(seconds)
            self._interruption.listen()  # before the first step there is nothing to save
        self._meter.add(self._agenda.step + 1, metrics, ids, seconds_waiting=waited)

    def _run_evaluation(self) -> None:
        jax.block_until_ready(self._state)  # pending steps count as training time
        paused = time.perf_counter()
        self._log.say(f"step {self._agenda.step}: evaluating")
        if self._evaluate(self._state, self._agenda.step):
            self._agenda.stop()
        self._meter.skip(time.perf_counter() - paused)

    def _keep(self) -> None:
        self._meter.flush(self._agenda.step)  # first, so that a diverged state is never saved
        self._save(self._state, self._agenda.step, self._agenda.evaluated)

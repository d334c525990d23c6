"""Progress of a run, read from the devices one window of steps late, so that they never wait for the host."""

import time
from typing import NamedTuple

import jax
import numpy as np
import optax

from lctr_jax.training.log import RunLog, progress_line
from lctr_jax.training.steps import StepMetrics


class _Window(NamedTuple):
    last_step: int
    metrics: list[StepMetrics]
    seconds: float
    seconds_waiting: float


class Meter:
    """Collects a window of `log_every` steps, then reports the window before it."""

    def __init__(
        self,
        log: RunLog,
        schedule: optax.Schedule,
        *,
        total_steps: int,
        steps_per_epoch: int,
        batch_size: int,
        log_every: int,
    ):
        self._log, self._schedule = log, schedule
        self._total_steps, self._steps_per_epoch = total_steps, steps_per_epoch
        self._batch_size, self._log_every = batch_size, log_every
        self._closed: _Window | None = None
        self._open: list[StepMetrics] = []
        self._seconds_waiting = 0.0
        self._opened_at = time.perf_counter()

    def add(self, step: int, metrics: StepMetrics, *, seconds_waiting: float) -> None:
        """Count a step, and how long it waited for its batch.

        Raises:
            ValueError: an earlier step's loss is not finite.
        """
        self._open.append(metrics)
        self._seconds_waiting += seconds_waiting
        if step % self._log_every == 0 or step == self._total_steps:
            self._close(step)

    def skip(self, seconds: float) -> None:
        """Leave out time that was not training: an evaluation, a compilation."""
        self._opened_at += seconds

    def flush(self, step: int) -> None:
        """Report everything up to `step`, waiting for the devices."""
        if self._open:
            self._close(step)
        self._report()

    def _close(self, step: int) -> None:
        if self._closed is None:
            jax.block_until_ready(self._open)  # nothing older to wait for: the time would be dispatch alone
        self._report()
        now = time.perf_counter()
        self._closed = _Window(step, self._open, now - self._opened_at, self._seconds_waiting)
        self._open, self._opened_at, self._seconds_waiting = [], now, 0.0

    def _report(self) -> None:
        if self._closed is None:
            return
        step, metrics, seconds, seconds_waiting = self._closed
        self._closed = None
        values = [each._asdict() for each in jax.device_get(metrics)]
        self._refuse_divergence(step, np.array([each["loss"] for each in values]))
        scalars = {f"train/{name}": float(np.mean([each[name] for each in values])) for name in values[0]}
        scalars |= {
            "train/epoch": step / self._steps_per_epoch,
            "train/learning_rate": np.asarray(self._schedule(step - 1)).item(),
            "train/images_per_second": self._batch_size * len(metrics) / seconds,
            "train/waiting_for_data": seconds_waiting / seconds,
            "train/replaced": float(sum(each["replaced"] for each in values)),  # a count, not a mean
        }
        self._log.write(step, scalars)
        seconds_left = (self._total_steps - step) * seconds / len(metrics)
        line = progress_line(step, total_steps=self._total_steps, scalars=scalars, seconds_left=seconds_left)
        self._log.say(line)

    def _refuse_divergence(self, last_step: int, losses: np.ndarray) -> None:
        if not np.isfinite(losses).all():
            step = last_step - len(losses) + 1 + int(np.argmin(np.isfinite(losses)))
            raise ValueError(
                f"loss: got {losses[~np.isfinite(losses)][0]} at step {step}, expected a finite number; "
                "lower train.lr, or set model.dtype=float32"
            )

"""Progress of a run, read from the devices one logging window late, so that they never wait for the host."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lctr_jax.training.log import RunLog, progress_line
from lctr_jax.training.plan import Plan
from lctr_jax.training.steps import StepMetrics

_IDS_SHOWN = 64


class NonFiniteLossError(ValueError):
    """The loss or gradient of a step is NaN or infinite."""


class _Window(NamedTuple):
    last_step: int
    metrics: list[StepMetrics]
    ids: list[Sequence[str]]
    seconds: float
    seconds_waiting: float


class Meter:
    """Collects the metrics of `log_every_steps` steps, and then reports the previous window."""

    def __init__(self, log: RunLog, plan: Plan):
        self._log, self._plan = log, plan
        self._closed: _Window | None = None
        self._open: list[StepMetrics] = []
        self._ids: list[Sequence[str]] = []
        self._seconds_waiting = 0.0
        self._opened_at = time.perf_counter()

    def add(self, step: int, metrics: StepMetrics, ids: Sequence[str], *, seconds_waiting: float) -> None:
        """Record a step.

        Args:
            step: number of the step, from 1.
            metrics: the step's metrics, which may still be being computed.
            ids: ids of the step's images on this host.
            seconds_waiting: time that the devices may have waited for the batch.

        Raises:
            NonFiniteLossError: the loss or gradient of an earlier step is not finite, and such steps are not
                skipped.
        """
        self._open.append(metrics)
        self._ids.append(ids)
        self._seconds_waiting += seconds_waiting
        if self._plan.logs_at(step):
            self._close(step)

    def skip(self, seconds: float) -> None:
        """Exclude time that is not training, such as validation or compilation."""
        self._opened_at += seconds

    def flush(self, step: int) -> None:
        """Report everything up to `step`; waits for the devices."""
        if self._open:
            self._close(step)
        self._report()

    def _close(self, step: int) -> None:
        if self._closed is None:
            # The first window has no earlier one to wait for; without this only its dispatch would be timed.
            jax.block_until_ready(self._open)
        self._report()
        now = time.perf_counter()
        self._closed = _Window(step, self._open, self._ids, now - self._opened_at, self._seconds_waiting)
        self._open, self._ids, self._opened_at, self._seconds_waiting = [], [], now, 0.0

    def _report(self) -> None:
        if self._closed is None:
            return
        step, metrics, ids, seconds, seconds_waiting = self._closed
        self._closed = None
        values = [_present(each) for each in jax.device_get(metrics)]
        finite = [bool(np.isfinite([each["loss"], each["grad_norm"]]).all()) for each in values]
        expected = [sound or _overflowed(each) for sound, each in zip(finite, values, strict=True)]
        if not all(expected):
            self._meet_nonfinite(step - len(expected) + 1 + expected.index(False), values, ids, expected)
        used = [each for each, sound in zip(values, finite, strict=True) if sound]
        scalars = {
            f"train/{name}": float(np.mean([each[name] for each in used])) for name in values[0] if used
        }
        scalars |= {
            "train/epoch": step / self._plan.steps_per_epoch,
            "train/learning_rate": float(values[-1]["learning_rate"]),  # of the last step, not the mean
            "train/images_per_second": self._plan.options.batch_size * len(metrics) / seconds,
            "train/waiting_for_data": seconds_waiting / seconds,
            "train/replaced": float(sum(each["replaced"] for each in values)),  # a sum, not the mean
        }
        if self._plan.options.skip_nonfinite or "loss_scale" in values[-1]:
            scalars["train/skipped_steps"] = float(finite.count(False))
        if "loss_scale" in values[-1]:
            scalars["train/loss_scale"] = float(values[-1]["loss_scale"])
        self._log.write(step, scalars)
        total_steps = self._plan.total_steps
        seconds_left = (total_steps - step) * seconds / len(metrics)
        line = progress_line(step, total_steps=total_steps, scalars=scalars, seconds_left=seconds_left)
        self._log.say(line)

    def _meet_nonfinite(
        self, step: int, values: list[dict], ids: list[Sequence[str]], finite: list[bool]
    ) -> None:
        index = finite.index(False)
        loss, norm = values[index]["loss"], values[index]["grad_norm"]
        what = f"loss: got {loss} and a gradient of norm {norm} at step {step}, expected finite numbers"
        images = f"images {_shown(ids[index])}"
        if self._plan.options.skip_nonfinite:
            more = finite.count(False) - 1
            self._log.say(f"skipped: {what}; {images}" + (f"; and {more} later steps" if more else ""))
        else:
            raise NonFiniteLossError(
                f"{what}; lower train.lr, set model.dtype=float32 or train.skip_nonfinite=True; {images}"
            )


def _present(metrics: StepMetrics) -> dict[str, Any]:
    return {name: value for name, value in metrics._asdict().items() if value is not None}


def _overflowed(values: Mapping[str, Any]) -> bool:
    """Return whether only the scaled gradient overflowed float16, which a smaller loss scale prevents."""
    return bool(values.get("loss_scale", 0) > 1 and np.isfinite(values["loss"]))


def _shown(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
    return ", ".join(str(each) for each in ids[:_IDS_SHOWN]) + more

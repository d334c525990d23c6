"""The log of a run: lines on the terminal, scalars and images to its writers."""

import math
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lctr_jax.training.trackers import MLflow, WeightsAndBiases
from lctr_jax.training.training_config import LogOptions
from lctr_jax.training.writers import JsonLines, MetricWriter, Options, TensorBoard


class RunLog:
    """Prints to the terminal from the start, and writes files once `open` is called.

    Only the host with `active` does either. A resumed run appends.
    """

    def __init__(self, *, active: bool):
        self._active = active
        self._writers: list[MetricWriter] = []
        self._said: set[str] = set()

    def open(self, workdir: Path, log: LogOptions, options: Options) -> None:
        """Start writing to WORKDIR and to the configured trackers.

        Args:
            workdir: the run's folder.
            log: which trackers to use.
            options: the run's options by dotted name.

        Raises:
            ValueError: a tracker cannot be reached.
        """
        if not self._active:
            return
        workdir.mkdir(parents=True, exist_ok=True)
        self._writers += [JsonLines(workdir), TensorBoard(workdir, options)]
        if log.wandb:
            self._writers.append(WeightsAndBiases(workdir, options))
        if log.mlflow:
            self._writers.append(MLflow(workdir, options))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Record scalars by name, such as `train/loss`."""
        for writer in self._writers:
            writer.scalars(step, scalars)

    def show(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Record an image, such as `eval/maps`."""
        for writer in self._writers:
            writer.image(step, name, picture)

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """Record the run's final metrics together with its options."""
        for writer in self._writers:
            writer.result(metrics)

    def say(self, text: str) -> None:
        """Print a line to stderr."""
        if self._active:
            print(text, file=sys.stderr, flush=True)

    def say_once(self, text: str) -> None:
        """Print a line unless it was printed before."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, error: type[BaseException] | None, *details: object) -> None:
        for writer in self._writers:
            with suppress(OSError) if error else nullcontext():  # a full disk would fail every writer
                writer.close(failed=error is not None)


def progress_line(step: int, *, total_steps: int, scalars: Mapping[str, float], seconds_left: float) -> str:
    """Format one line of progress: losses, rate, share of time spent waiting for data, and time left."""
    minutes, seconds = divmod(round(seconds_left), 60)
    waiting, rate = scalars["train/waiting_for_data"], scalars["train/images_per_second"]
    short = (
        f" (limiting: devices could process {rate / (1 - waiting):.0f} img/s)" if 0.05 < waiting < 1 else ""
    )
    replaced = f"replaced {scalars['train/replaced']:.0f}  " if scalars["train/replaced"] else ""
    skipped = f"skipped {scalars['train/skipped_steps']:.0f}  " if scalars.get("train/skipped_steps") else ""
    loss, accuracy = (scalars.get(f"train/{name}", math.nan) for name in ("loss", "accuracy"))
    return (
        f"step {step:>{len(str(total_steps))}}/{total_steps}  epoch {scalars['train/epoch']:.2f}  "
        f"loss {loss:.4f}  acc {100 * accuracy:5.1f}%  "
        f"lr {scalars['train/learning_rate']:.2e}  {rate:.0f} img/s  "
        f"data {100 * waiting:.0f}%{short}  {replaced}{skipped}"
        f"left {minutes}:{seconds:02d}"
    )

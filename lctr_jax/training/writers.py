"""Where a run's numbers and pictures go: JSON lines and TensorBoard; `trackers` has the optional ones."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

Option = bool | int | float | str
Options = Mapping[str, Option]
"""A run's options by dotted name, such as `train.lr`."""


class Writer:
    """A place that a run reports to. What the place has no room for, its writer leaves out."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step by name, such as `train/loss`."""

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """A picture of a step."""

    def result(self, metrics: Mapping[str, float]) -> None:
        """The numbers that the run's options led to, by name."""

    def close(self, *, failed: bool) -> None:
        """Write what is still held back; `failed`: an error ends the run."""


class JsonLines(Writer):
    """WORKDIR/metrics.jsonl: one object a step, for programs. Final numbers stand in eval/metrics.json."""

    def __init__(self, workdir: Path):
        self._file = (workdir / "metrics.jsonl").open("a", buffering=1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A line, with the time in seconds since 1970."""
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard(Writer):
    """WORKDIR/tensorboard: scalars, images, and the options with what they led to (HParams)."""

    def __init__(self, workdir: Path, options: Options):
        self._writer = SummaryWriter(str(workdir / "tensorboard"))
        self._options = dict(options)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """To the Scalars tab, a curve a name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """To the Images tab, with a slider over the steps."""
        self._writer.add_image(name, picture, step, dataformats="HWC")
        self._writer.flush()  # images are for those who watch

    def result(self, metrics: Mapping[str, float]) -> None:
        """To the HParams tab: a row of the table of runs."""
        # Not `add_hparams`: it opens a second run beside this one, apart from the curves.
        file = self._writer.file_writer
        assert file is not None  # only once closed
        for summary in hparams(self._options, dict(metrics)):
            file.add_summary(summary)
        self.scalars(0, metrics)

    def close(self, *, failed: bool) -> None:
        """Write what is queued."""
        self._writer.close()

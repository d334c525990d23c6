"""Where a run's numbers and pictures go: JSON lines and TensorBoard; `trackers` has the optional ones."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

Option = bool | int | float | str
Options = Mapping[str, Option]
"""A run's options by dotted name, such as `train.lr`."""


class MetricWriter:
    """A place that a run reports to. What the place has no room for, its writer leaves out."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step by name, such as `train/loss`."""

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """A picture of a step."""

    def result(self, metrics: Mapping[str, float]) -> None:
        """The numbers that the run's options led to, by name."""

    def close(self, *, failed: bool) -> None:
        """Write what is still held back; `failed`: an error ends the run."""


class JsonLines(MetricWriter):
    """WORKDIR/metrics.jsonl: one object a step, for programs. Final numbers stand in eval/metrics.json.

    Raises:
        OSError: the disk is full, or fails.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / "metrics.jsonl"
        self._file = self._path.open("a", buffering=1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A line, with the time in seconds since 1970."""
        with _report_write_failure(self._path):
            self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        with _report_write_failure(self._path):
            self._file.close()


class TensorBoard(MetricWriter):
    """WORKDIR/tensorboard: scalars, images, and the options with what they led to (HParams).

    Raises:
        OSError: the disk is full, or fails.
    """

    def __init__(self, workdir: Path, options: Options):
        self._folder = workdir / "tensorboard"
        self._folder.mkdir(exist_ok=True)
        # Not `SummaryWriter`: a thread of its own writes there, and where that fails the run hears nothing of
        # it, until the queue to it is full and the run hangs.
        self._events = EventsWriter(str(self._folder / "events"))
        self._options = dict(options)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """To the Scalars tab, a curve a name."""
        self._write(step, *[summary.scalar(name, value) for name, value in values.items()])

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """To the Images tab, with a slider over the steps."""
        self._write(step, summary.image(name, picture, dataformats="HWC"))

    def result(self, metrics: Mapping[str, float]) -> None:
        """To the HParams tab: a row of the table of runs."""
        self._write(0, *summary.hparams(self._options, dict(metrics)))
        self.scalars(0, metrics)

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        with _report_write_failure(self._folder):
            self._events.close()

    def _write(self, step: int, *summaries: Summary) -> None:
        with _report_write_failure(self._folder):
            for each in summaries:
                self._events.write_event(Event(wall_time=time.time(), step=step, summary=each))
            self._events.flush()  # for those who watch


@contextmanager
def _report_write_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # of a file that is open: the system does not say which
        raise OSError(
            f"{path} could not be written: {error.strerror}; make room, and give the same command again"
        ) from error

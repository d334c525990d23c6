"""Writers of scalars and images: JSON lines and TensorBoard; `trackers` contains the optional ones."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8


@contextmanager
def _without_torch() -> Iterator[None]:
    """Make `import torch` fail as where it is not installed, unless it is imported already."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # pyright: ignore[reportArgumentType] what Python documents for this
    try:
        yield
    finally:
        del sys.modules["torch"]


# tensorboardX imports torch where it is installed, for tensors that nobody here logs; that takes seconds.
with _without_torch():
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

Option = bool | int | float | str
Options = Mapping[str, Option]
"""A run's options by dotted name, such as `train.lr`."""


class MetricWriter:
    """Base class of writers; methods for unsupported kinds of data do nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars of a step by name, such as `train/loss`."""

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Write an image of a step."""

    def result(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics of the run."""

    def close(self, *, failed: bool) -> None:
        """Write buffered data and close; `failed`: the run ends with an error."""


class JsonLines(MetricWriter):
    """WORKDIR/metrics.jsonl: one JSON object per logged step. Final metrics are in eval/metrics.json.

    Raises:
        OSError: writing fails, e.g. because the disk is full.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / "metrics.jsonl"
        self._file = self._path.open("a", buffering=1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line, with the time in seconds since 1970."""
        with _report_write_failure(self._path):
            self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        with _report_write_failure(self._path):
            self._file.close()


class TensorBoard(MetricWriter):
    """WORKDIR/tensorboard: scalars, images, and hyperparameters with the final metrics (HParams).

    Raises:
        OSError: writing fails, e.g. because the disk is full.
    """

    def __init__(self, workdir: Path, options: Options):
        self._folder = workdir / "tensorboard"
        self._folder.mkdir(exist_ok=True)
        # Not `SummaryWriter`: its thread does not report write errors, and once its queue is full the run
        # would hang.
        self._events = EventsWriter(str(self._folder / "events"))
        self._options = dict(options)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write to the Scalars tab, one curve per name."""
        self._write(step, *[summary.scalar(name, value) for name, value in values.items()])

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Write to the Images tab, with a slider over the steps."""
        self._write(step, summary.image(name, picture, dataformats="HWC"))

    def result(self, metrics: Mapping[str, float]) -> None:
        """Write to the HParams tab, one row per run."""
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
            self._events.flush()  # so that a running TensorBoard shows them


@contextmanager
def _report_write_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # of an open file; the system does not name it
        raise OSError(
            f"{path} could not be written: {error.strerror}; free disk space and repeat the command"
        ) from error

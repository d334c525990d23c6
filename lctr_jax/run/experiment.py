"""The common parts of training and evaluation: config, workdir, devices, log, splits, evaluator."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import jax
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh
from rich.console import Console

from lctr_jax.checkpoints.converted_once import convert_once
from lctr_jax.data.class_names import match_class_names
from lctr_jax.data.data_config import DataOptions
from lctr_jax.data.datasets import Split, open_split
from lctr_jax.data.feeding import Workers
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import raise_together
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.models.parameters import Parameters, initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig
from lctr_jax.run.data_workers import decide_workers
from lctr_jax.run.workdir import lock_workdir
from lctr_jax.training.log import RunLog


@dataclass(frozen=True)
class Experiment:
    """A run's options, folder, devices, log and signal handling, used by `run.train` and `run.evaluate`.

    Attributes:
        config: the options.
        workdir: the run's folder.
        mesh: the devices.
        log: terminal and files.
        interruption: signal handling.
        class_names: of the evaluated checkpoint, to which labels are mapped; None for the data set's own.
        trains: whether the run trains.
    """

    config: RunConfig
    workdir: Path
    mesh: Mesh
    log: RunLog
    interruption: Interruption
    class_names: tuple[str, ...] | None = None
    trains: bool = True
    _splits: dict[str, Split] = field(default_factory=dict, repr=False)

    @cached_property
    def initial_weights(self) -> str:
        """Path of the weights to start from, converted if they are PyTorch's; empty for random weights.

        Raises:
            FileNotFoundError: there are none.
            ModuleNotFoundError: reading them needs a package that is not installed.
            OSError: converted weights cannot be kept.
            ValueError: they cannot be fetched or converted.
        """
        source = self.config.init_from
        if not source:
            return ""
        path = find_initial_weights(source, self.config.data.data_dir)
        if path != source:
            self.log.say_once(f"init_from: {source}, as {path}")
        return path

    @cached_property
    def workers(self) -> Workers:
        """Number of worker processes; all processes of a run must request it.

        Raises:
            ValueError: there are not enough resources for the requested number.
        """
        return decide_workers(self.config, self.mesh, trains=self.trains)

    def open(self, name: str) -> Split:
        """Open a split of the config's data set, prepared if necessary and labeled by `class_names` if given.

        Each split is opened once, so files that change during the run do not affect it.

        Raises:
            ValueError: the data set or split is unknown, its files are invalid, or its classes differ from
                `class_names`.
            FileNotFoundError: the data is missing.
        """
        if name not in self._splits:
            self._splits[name] = self._open(name)
        split = self._splits[name]
        if self.class_names is None:
            return split
        subset = self.config.model["num_classes"] == len(self.class_names)  # set by the user
        return match_class_names(split, self.class_names, subset=subset)

    def _open(self, name: str) -> Split:
        split = open_data(self.config.data, name)
        for note in split.notes:
            self.log.say_once(note)
        return split

    def open_log(self) -> None:
        """Start writing to the run's folder, and to the config's trackers.

        Raises:
            ValueError: a tracker cannot be reached.
        """
        options = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in flatten_dict(asdict(self.config), sep=".").items()
        }
        self.log.open(self.workdir, self.config.log, options)

    def initial(self, spec: ModelSpec) -> Parameters:
        """Initialize random parameters with the config's seed."""
        return initialize(spec, jax.random.key(self.config.seed))

    def evaluator(self, spec: ModelSpec) -> Evaluator:
        """Build the evaluator for networks of this spec."""
        return Evaluator(
            self.config.eval,
            spec,
            self.mesh,
            open_split=self.open,
            num_workers=self.workers.count,
            on_batch=self.interruption.check,
        )


def open_data(data: DataOptions, name: str) -> Split:
    """Open a split of a data set, preparing it on first use.

    Raises:
        ValueError: the data set or the split is unknown, or its files are not as they should be.
        FileNotFoundError: the data is missing.
    """
    boxes = {split: path for split, path in data.boxes.items() if path}
    return open_split(
        data.name, name, data_dir=data.data_dir, root=data.root or None, boxes=boxes, exif=data.exif
    )


def find_initial_weights(source: str, data_dir: str) -> str:
    """Return the path of the weights named by `init_from`, converting PyTorch weights on first use.

    Raises:
        FileNotFoundError: there are none.
        ModuleNotFoundError: reading them needs a package that is not installed.
        OSError: converted weights cannot be kept.
        ValueError: they cannot be fetched or converted.
    """
    console = Console(stderr=True, markup=False, quiet=jax.process_index() != 0)
    return convert_once(source, Path(data_dir), console)


@contextmanager
def open_experiment(
    config: RunConfig,
    workdir: Path,
    mesh: Mesh,
    interruption: Interruption,
    *,
    hold: bool = True,
    trains: bool = True,
) -> Iterator[Experiment]:
    """Open a run, locking its folder against other runs.

    Signal handlers set by the run are restored when it ends.

    Args:
        config: the options.
        workdir: the run's folder.
        mesh: the devices.
        interruption: the process's only one.
        hold: whether to create and lock the folder; false if nothing will be written.
        trains: whether the run trains; otherwise only evaluation reads data.

    Raises:
        ValueError: another run uses the folder, or it is not a folder.
        OSError: it cannot be created or is not writable.
    """
    first, error = jax.process_index() == 0, None
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_workdir(workdir, active=first and hold))
        except (ValueError, OSError) as found:
            error = found
        raise_together(error)
        stack.enter_context(interruption)
        log = stack.enter_context(RunLog(active=first))
        yield Experiment(config, workdir, mesh, log, interruption, trains=trains)

"""What a run is made of: config, folder, devices, log, and the parts that both of its jobs need."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import jax
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from lctr_jax.data.class_names import match_class_names
from lctr_jax.data.datasets import Split, open_split
from lctr_jax.data.feeding import Workers
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import raise_together
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.models.parameters import Parameters, initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig
from lctr_jax.run.feeding import decide_workers
from lctr_jax.run.workdir import lock_workdir
from lctr_jax.training.log import RunLog


@dataclass(frozen=True)
class Experiment:
    """A run's options, folder, devices, log and stopping; `run.train` and `run.evaluate` work on it.

    `class_names`: of the checkpoint that is evaluated, to which labels are matched; None: the data set's own.
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
    def workers(self) -> Workers:
        """How many worker processes read; asked for by all processes of a run alike.

        Raises:
            ValueError: the host cannot feed the number of workers asked for.
        """
        return decide_workers(self.config, self.mesh, trains=self.trains)

    def open(self, name: str) -> Split:
        """A split of the config's data set, prepared if it is not yet; labeled by `class_names`, if given.

        Each is opened once: files that change during the run do not change it.

        Raises:
            ValueError: the data set or the split is unknown, its files are not as they should be, or its
                classes are not those of `class_names`.
            FileNotFoundError: the data is missing.
        """
        if name not in self._splits:
            self._splits[name] = self._open(name)
        split = self._splits[name]
        if self.class_names is None:
            return split
        subset = self.config.model["num_classes"] == len(self.class_names)  # asked for by the user
        return match_class_names(split, self.class_names, subset=subset)

    def _open(self, name: str) -> Split:
        data = self.config.data
        boxes = {split: path for split, path in data.boxes.items() if path}
        split = open_split(
            data.name, name, data_dir=data.data_dir, root=data.root or None, boxes=boxes, exif=data.exif
        )
        for note in split.notes:
            self.log.say_once(note)
        return split

    def open_log(self) -> None:
        """Report to the run's folder from now on, and to the trackers that the config names.

        Raises:
            ValueError: a tracker does not answer.
        """
        options = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in flatten_dict(asdict(self.config), sep=".").items()
        }
        self.log.open(self.workdir, self.config.log, options)

    def initial(self, spec: ModelSpec) -> Parameters:
        """The random parameters that the config's seed gives."""
        return initialize(spec, jax.random.key(self.config.seed))

    def evaluator(self, spec: ModelSpec) -> Evaluator:
        """What evaluates networks of this spec as the config asks."""
        return Evaluator(
            self.config.eval,
            spec,
            self.mesh,
            open_split=self.open,
            num_workers=self.workers.count,
            on_batch=self.interruption.check,
        )


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
    """The run, its folder held against other ones; `interruption` is the process's only one.

    Signal handlers that the run sets are replaced by the former ones when it ends. Not `hold`: nothing is
    going to be written, and the folder is not even made. Not `trains`: only an evaluation is going to read
    data.

    Raises:
        ValueError: another run holds the folder, or it is none.
        OSError: it cannot be made or written to.
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

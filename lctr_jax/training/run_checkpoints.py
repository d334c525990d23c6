"""A training run's checkpoints: what a killed run needs to go on as if nothing had happened."""

import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from lctr_jax.checkpoints.checksummed import ChecksummedCheckpoints
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import (
    CHECKPOINTS,
    PARAMETERS,
    TRAINING,
    list_steps,
    newest_sound,
    weights_items,
)
from lctr_jax.distributed.processes import raise_together
from lctr_jax.models.parameters import restrict
from lctr_jax.training.state import TrainState

_RUN = "run"


class Progress(NamedTuple):
    """What a checkpoint says of its run beside the arrays.

    `batches` is the data iterator's state, `config` every option of the run, the seed among them; `evaluated`
    tells that the evaluation due at this step, if any, is done. `inputs` are digests of what the run started
    from, its images and weights.
    """

    batches: dict[str, Any]
    config: Mapping[str, Any]
    evaluated: bool
    inputs: Mapping[str, str]


class RunCheckpoints:
    """Checkpoints in WORKDIR/checkpoints/STEP, written in the background, each whole or absent.

    Every random draw follows from the seed and the step. A newest checkpoint that is damaged is set aside, as
    STEP.damaged, with a warning.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """

    def __init__(self, workdir: Path, metadata: Metadata, *, keep: int):
        # Orbax announces every file, and the traceback of every thread's failure; we say what matters.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self.folder = workdir.resolve() / CHECKPOINTS
        _set_damaged_aside(self.folder)
        self._metadata = metadata
        self._checkpoints = ChecksummedCheckpoints(self.folder, max_to_keep=keep)
        self._manager = self._checkpoints.manager

    @property
    def latest_step(self) -> int | None:
        """The newest whole checkpoint's step; None without one."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int, progress: Progress) -> None:
        """Start writing the state; a checkpoint of that step that exists already is kept."""
        if step == self.latest_step:
            return
        items = weights_items(self._metadata, state.weights) | {
            TRAINING: ocp.args.StandardSave(_rest(state)),
            _RUN: ocp.args.JsonSave(progress._asdict()),
        }
        self._checkpoints.save(step, items)

    @property
    def newest(self) -> Path | None:
        """The newest whole checkpoint's folder; None without one. Waits for the one being written."""
        self.wait()
        return None if self.latest_step is None else self.folder / str(self.latest_step)

    def progress(self) -> Progress | None:
        """What the newest checkpoint says of its run; None without one."""
        if self.latest_step is None:
            return None
        args = ocp.args.Composite(**{_RUN: ocp.args.JsonRestore()})
        return Progress(**self._manager.restore(self.latest_step, args=args)[_RUN])

    def restore(self, like: TrainState) -> TrainState:
        """The newest state, placed on devices as the arrays of `like` are."""
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        items = {
            PARAMETERS: ocp.args.StandardRestore(target.weights),
            TRAINING: ocp.args.StandardRestore(_rest(target)),
        }
        restored = self._manager.restore(self.latest_step, args=ocp.args.Composite(**items))
        weights, rest = restored[PARAMETERS], restored[TRAINING]
        parameters = restrict(weights, like.parameters)
        return TrainState(
            rest["step"],
            rest.get("parameters", parameters),
            rest["optimizer"],
            average=parameters if like.average else {},
            others=restrict(weights, like.others),
            loss_scale=rest.get("loss_scale"),
        )

    def wait(self) -> None:
        """Wait until everything is on disk.

        Raises:
            OSError: it could not be written.
        """
        self._checkpoints.wait()

    def close(self) -> None:
        """Wait until everything is on disk, and stop writing.

        Raises:
            OSError: it could not be written.
        """
        self._checkpoints.close()


def _rest(state: TrainState) -> dict[str, Any]:
    """What is kept beside the weights: the parameters too where the weights are their average."""
    rest = {"step": state.step, "optimizer": state.optimizer}
    if state.average:
        rest["parameters"] = state.parameters
    if state.loss_scale is not None:
        rest["loss_scale"] = state.loss_scale
    return rest


def _set_damaged_aside(folder: Path) -> None:
    """Rename what is newer than the newest sound checkpoint, so that training can write those steps again."""
    error = None
    if jax.process_index() == 0:
        try:
            _rename_damaged(folder)
        except (ValueError, OSError) as found:
            error = found
    raise_together(error)


def _rename_damaged(folder: Path) -> None:
    steps = list_steps(folder)
    sound = newest_sound(steps) if steps else None
    for step in steps[: steps.index(sound) if sound else 0]:
        ends = itertools.chain([".damaged"], (f".damaged.{number}" for number in itertools.count(2)))
        step.rename(next(path for end in ends if not (path := step.with_name(step.name + end)).exists()))

"""Checkpoints of a training run, from which an interrupted run resumes with identical results."""

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
    """What a checkpoint stores besides arrays.

    Attributes:
        batches: state of the data iterator.
        config: all options of the run, including the seed.
        evaluated: whether the validation due at this step, if any, is done.
        inputs: digests of the training images and the initial weights.
    """

    batches: dict[str, Any]
    config: Mapping[str, Any]
    evaluated: bool
    inputs: Mapping[str, str]


class RunCheckpoints:
    """Checkpoints in WORKDIR/checkpoints/STEP, written in the background and visible only when complete.

    All random draws follow from the seed and the step. Checkpoints newer than the newest undamaged one are
    renamed to STEP.damaged, with a warning.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """

    def __init__(self, workdir: Path, metadata: Metadata, *, keep: int):
        # Orbax logs every file, and a traceback for every failing thread; errors are reported by us.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self.folder = workdir.resolve() / CHECKPOINTS
        _set_damaged_aside(self.folder)
        self._metadata = metadata
        self._checkpoints = ChecksummedCheckpoints(self.folder, max_to_keep=keep)
        self._manager = self._checkpoints.manager

    @property
    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint; None if there is none."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int, progress: Progress) -> None:
        """Start writing the state, unless a checkpoint of that step exists."""
        if step == self.latest_step:
            return
        items = weights_items(self._metadata, state.weights) | {
            TRAINING: ocp.args.StandardSave(_rest(state)),
            _RUN: ocp.args.JsonSave(progress._asdict()),
        }
        self._checkpoints.save(step, items)

    @property
    def newest(self) -> Path | None:
        """Folder of the newest complete checkpoint; None without one. Waits for pending writes."""
        self.wait()
        return None if self.latest_step is None else self.folder / str(self.latest_step)

    def progress(self) -> Progress | None:
        """Return what the newest checkpoint stores besides arrays; None if there is none."""
        if self.latest_step is None:
            return None
        args = ocp.args.Composite(**{_RUN: ocp.args.JsonRestore()})
        return Progress(**self._manager.restore(self.latest_step, args=args)[_RUN])

    def restore(self, like: TrainState) -> TrainState:
        """Restore the newest state, placed on devices like the arrays of `like`."""
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
    """Return the state except `weights`; includes the parameters if `weights` is their average."""
    rest = {"step": state.step, "optimizer": state.optimizer}
    if state.average:
        rest["parameters"] = state.parameters
    if state.loss_scale is not None:
        rest["loss_scale"] = state.loss_scale
    return rest


def _set_damaged_aside(folder: Path) -> None:
    """Rename checkpoints newer than the newest undamaged one, so that their steps can be written again."""
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

"""A training run's checkpoints: what a killed run needs to go on as if nothing had happened."""

import logging
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import CHECKPOINTS, PARAMETERS, TRAINING, weights_items
from lctr_jax.training.state import TrainState


class RunCheckpoints:
    """Checkpoints in WORKDIR/checkpoints/STEP, written in the background, each whole or absent.

    The data's position and every random draw follow from the step, so that the state is all there is to keep.
    """

    def __init__(self, workdir: Path, metadata: Metadata, *, keep: int):
        # Orbax announces every file at INFO and WARNING level; our log says what matters.
        logging.getLogger("absl").setLevel(logging.ERROR)
        options = ocp.CheckpointManagerOptions(max_to_keep=keep)
        self._manager = ocp.CheckpointManager(workdir.resolve() / CHECKPOINTS, options=options)
        self._metadata = metadata

    @property
    def latest_step(self) -> int | None:
        """The newest whole checkpoint's step; None without one."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int) -> None:
        """Start writing the state; a checkpoint of that step that exists already is kept."""
        if step == self.latest_step:
            return
        items = weights_items(self._metadata, state.weights) | {TRAINING: ocp.args.StandardSave(_rest(state))}
        # Forced: otherwise orbax leaves a step out while an earlier one is still being written.
        self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    def restore(self, like: TrainState) -> TrainState:
        """The newest state, placed on devices as the arrays of `like` are."""
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        items = {
            PARAMETERS: ocp.args.StandardRestore(target.weights),
            TRAINING: ocp.args.StandardRestore(_rest(target)),
        }
        restored = self._manager.restore(self.latest_step, args=ocp.args.Composite(**items))
        weights, rest = restored[PARAMETERS], restored[TRAINING]
        average = weights if like.average else {}
        return TrainState(rest["step"], rest.get("parameters", weights), rest["optimizer"], average)

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()


def _rest(state: TrainState) -> dict[str, Any]:
    """What is kept beside the weights: the parameters too where the weights are their average."""
    rest = {"step": state.step, "optimizer": state.optimizer}
    return rest | {"parameters": state.parameters} if state.average else rest

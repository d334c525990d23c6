"""The checkpoint with the best validation metric."""

import math
from collections.abc import Mapping
from pathlib import Path

from lctr_jax.checkpoints.checksummed import ChecksummedCheckpoints
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import CHECKPOINTS, weights_items
from lctr_jax.training.state import TrainState

BEST = "best"


class BestCheckpoint:
    """The weights with the best validation metric so far, in WORKDIR/checkpoints/best/STEP."""

    def __init__(self, workdir: Path, metadata: Metadata, *, metric: str):
        self._metadata, self._metric = metadata, metric
        self.folder = workdir.resolve() / CHECKPOINTS / BEST
        self._checkpoints = ChecksummedCheckpoints(
            self.folder, max_to_keep=1, best_fn=lambda metrics: metrics[metric]
        )
        self._manager = self._checkpoints.manager

    def offer(self, state: TrainState, step: int, scalars: Mapping[str, float]) -> bool:
        """Save the state's weights if their metric is better than the saved one's, and return whether it was.

        Returns once the checkpoint is on disk: a later checkpoint of the run states that this validation is
        done, so its result must not be lost if the run is killed.
        """
        score, best = scalars[self._metric], self.step
        best_metrics = None if best is None else self._manager.metrics(best)
        if math.isnan(score) or (best_metrics and score <= best_metrics[self._metric]):
            return False
        items = weights_items(self._metadata, state.weights)
        self._checkpoints.save(step, items, metrics={self._metric: score})
        self._checkpoints.wait()
        return True

    @property
    def step(self) -> int | None:
        """Step of the best weights; None before the first validation."""
        return self._manager.best_step()

    def close(self) -> None:
        """Finish writing."""
        self._checkpoints.close()

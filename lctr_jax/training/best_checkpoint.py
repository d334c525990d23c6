"""The checkpoint that did best at the looks that a run takes at its evaluation split, and at its end."""

import math
from collections.abc import Mapping
from pathlib import Path

from lctr_jax.checkpoints.checksummed import ChecksummedCheckpoints
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import CHECKPOINTS, weights_items
from lctr_jax.training.state import TrainState

BEST = "best"


class BestCheckpoint:
    """WORKDIR/checkpoints/best/STEP: the weights with the best validation metric so far."""

    def __init__(self, workdir: Path, metadata: Metadata, *, metric: str):
        self._metadata, self._metric = metadata, metric
        self.folder = workdir.resolve() / CHECKPOINTS / BEST
        self._checkpoints = ChecksummedCheckpoints(
            self.folder, max_to_keep=1, best_fn=lambda metrics: metrics[metric]
        )
        self._manager = self._checkpoints.manager

    def offer(self, state: TrainState, step: int, scalars: Mapping[str, float]) -> bool:
        """Keep the state's weights if they did better than those kept, and say whether; returns once on disk.

        At once, so that a kill cannot lose a validation that a later checkpoint records as done.
        """
        score, best = scalars[self._metric], self._manager.best_step()
        best_metrics = None if best is None else self._manager.metrics(best)
        if math.isnan(score) or (best_metrics and score <= best_metrics[self._metric]):
            return False
        items = weights_items(self._metadata, state.weights)
        self._checkpoints.save(step, items, metrics={self._metric: score})
        self._checkpoints.wait()
        return True

    def close(self) -> None:
        """Stop writing."""
        self._checkpoints.close()

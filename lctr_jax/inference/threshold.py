"""The threshold of a score map above which pixels belong to the object, for a checkpoint in use."""

import json
from pathlib import Path

from lctr_jax.checkpoints.store import CHECKPOINTS, find_checkpoint
from lctr_jax.localization.thresholds import Threshold

PUBLISHED_THRESHOLD = 0.09  # LCTR's for CUB


def choose_threshold(given: float | None, checkpoint: str) -> tuple[Threshold, str]:
    """The threshold and where it comes from: given, the run's own evaluation's, or the published one.

    Raises:
        ValueError: the given one is not a share of the map's maximum.
    """
    if given is not None:
        return Threshold(given), "given"
    folder = Path(find_checkpoint(checkpoint))
    metrics = folder.parents[1] / "eval" / "metrics.json"
    if folder.parent.name == CHECKPOINTS and metrics.is_file():
        evaluated = json.loads(metrics.read_text())
        if "threshold" in evaluated:
            return Threshold(evaluated["threshold"]), f"the run's evaluation, {evaluated['threshold_source']}"
    return Threshold(PUBLISHED_THRESHOLD), "LCTR's for CUB"

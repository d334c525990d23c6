"""The threshold used with a checkpoint."""

from pathlib import Path

from lctr_jax.checkpoints.store import CHECKPOINTS, find_checkpoint
from lctr_jax.json_objects import describe_value, read_object, require_number
from lctr_jax.localization.thresholds import Threshold

PUBLISHED_THRESHOLD = 0.09  # LCTR's for CUB
UNCALIBRATED = "LCTR's published one for CUB, not calibrated for this network"


def resolve_threshold(given: float | None, checkpoint: str) -> tuple[Threshold, str]:
    """Return the threshold and its source: given, from the run's evaluation, or the published one.

    Raises:
        ValueError: the given one is not in [0, 1), or the run's metrics cannot be read.
    """
    if given is not None:
        return Threshold(given), "given"
    folder = Path(find_checkpoint(checkpoint))
    metrics = folder.parents[1] / "eval" / "metrics.json"
    if folder.parent.name == CHECKPOINTS and metrics.is_file() and (evaluated := read_threshold(metrics)):
        return evaluated
    return Threshold(PUBLISHED_THRESHOLD), UNCALIBRATED


def read_threshold(metrics: Path) -> tuple[Threshold, str] | None:
    """Return the threshold in an evaluation's `metrics.json`, if any, and its source.

    Raises:
        ValueError: the file does not contain an evaluation's metrics.
    """
    evaluated = read_object(metrics)
    if "threshold" not in evaluated:
        return None
    try:
        threshold = Threshold(require_number(evaluated["threshold"], where="threshold"))
    except ValueError as error:
        raise ValueError(f"{metrics}: {error}; give --threshold, or evaluate the run again") from error
    source = evaluated.get("threshold_source")
    if not isinstance(source, str):
        raise ValueError(f"{metrics}: threshold_source: got {describe_value(source)}, expected a string")
    return threshold, f"the run's evaluation, {source}"

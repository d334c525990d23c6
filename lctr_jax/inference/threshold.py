"""The threshold used with a checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from lctr_jax.checkpoints.store import CHECKPOINTS
from lctr_jax.checkpoints.stored_calibration import read_calibration
from lctr_jax.json_objects import describe_value, read_object, require_number
from lctr_jax.localization.threshold_rules import Levels, MapRule, mass_threshold
from lctr_jax.localization.thresholds import Threshold

PUBLISHED_THRESHOLD = 0.09  # LCTR's for CUB
PUBLISHED = "LCTR's published one for CUB, not calibrated for this network"
"""Description of `PUBLISHED_THRESHOLD` when used for another network."""

DEFAULT_SHARE = 0.6
"""Of a map's sum in its foreground; the rule with the best worst case in `benchmarks.threshold_rules`."""

UNCALIBRATED = f"{100 * DEFAULT_SHARE:.0f} % of the map's sum (not calibrated for this network)"

CALIBRATE = (
    "give about twenty boxes to python -m lctr_jax.calibrate, or choose by eye with predict --thresholds "
    "0.1,0.2,0.3,0.4; until then each map has its own (docs/photographs.md)"
)
"""Hint printed with an uncalibrated threshold."""


@dataclass(frozen=True, kw_only=True)
class ThresholdChoice:
    """A threshold and its source.

    Attributes:
        rule: one threshold for all maps, or a rule that determines a threshold for each map.
        source: its origin, in words.
    """

    rule: Threshold | MapRule
    source: str

    @property
    def tau(self) -> float | None:
        """The threshold; None if each map has its own."""
        return self.rule.tau if isinstance(self.rule, Threshold) else None

    @property
    def short(self) -> str:
        """The threshold, or the rule's name."""
        return f"{100 * DEFAULT_SHARE:.0f} % of the sum" if self.tau is None else f"{self.tau:.3g}"

    def describe(self) -> str:
        """Format as `threshold 0.31: source`."""
        return f"threshold {'of each map' if self.tau is None else f'{self.tau:.3g}'}: {self.source}"


def default_rule(levels: Levels) -> Threshold:
    """Choose the threshold of a map of a network without a calibrated one."""
    return mass_threshold(levels, share=DEFAULT_SHARE)


DEFAULT = ThresholdChoice(rule=default_rule, source=UNCALIBRATED)
"""For a network without a calibrated threshold; docs/predict.md compares rules."""


def resolve_threshold(given: float | None, checkpoint: Path | None) -> ThresholdChoice:
    """Return the first one available: given, calibrated, of the run's evaluation, or `DEFAULT`.

    Args:
        given: a fraction of the map's maximum.
        checkpoint: folder of the checkpoint's items (`find_checkpoint`); None if there is none.

    Raises:
        ValueError: the given one is not in [0, 1), or the calibration or the run's metrics cannot be read.
    """
    if given is not None:
        return ThresholdChoice(rule=Threshold(given), source="given")
    if checkpoint is None:
        return DEFAULT
    if calibration := read_calibration(checkpoint):
        return ThresholdChoice(rule=Threshold(calibration.threshold), source=calibration.describe())
    metrics = checkpoint.parents[1] / "eval" / "metrics.json"
    if checkpoint.parent.name == CHECKPOINTS and metrics.is_file():
        return read_threshold(metrics) or DEFAULT
    return DEFAULT


def read_threshold(metrics: Path) -> ThresholdChoice | None:
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
    # 0.09 is the config's default, so it was not chosen for this network.
    if source == "fixed" and threshold.tau == PUBLISHED_THRESHOLD:
        description = f"{UNCALIBRATED}; its run was evaluated at {PUBLISHED_THRESHOLD}, {PUBLISHED}"
        return ThresholdChoice(rule=default_rule, source=description)
    return ThresholdChoice(rule=threshold, source=f"the run's evaluation, {source}")

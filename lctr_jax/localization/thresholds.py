"""Thresholds and how they were chosen, which every localization result states."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from lctr_jax.localization.maps import cut_of_tau, tau_grid

ThresholdSource = Literal["fixed", "held-out", "oracle", "map"]


@dataclass(frozen=True)
class Threshold:
    """A threshold tau in [0, 1), as a fraction of the map's maximum.

    Attributes:
        tau: the threshold.
        source: fixed in advance, chosen on a held-out split, chosen on the evaluated split (oracle), or
            chosen from the map itself (`threshold_rules`).
        chosen_on: the split on which it was chosen.
    """

    tau: float
    source: ThresholdSource = "fixed"
    chosen_on: str | None = None

    def __post_init__(self):
        if not 0 <= self.tau < 1:
            raise ValueError(f"threshold: got {self.tau}, expected a fraction of the map's maximum in [0, 1)")

    @property
    def cut(self) -> int:
        """The gray level above which a pixel is foreground."""
        return int(self.tau * 255)

    def describe(self) -> str:
        """Format the source, e.g. `held-out (val)`."""
        return f"{self.source} ({self.chosen_on})" if self.chosen_on else self.source


@dataclass(frozen=True, kw_only=True)
class CurveThresholds:
    """One threshold for each of wsoleval's curves, chosen on other images than the evaluated ones.

    Attributes:
        single: for MaxBoxAcc's curves, one per IoU level of `IOU_LEVELS`.
        multi: for MaxBoxAccV2's curves, likewise.
    """

    single: tuple[Threshold, ...]
    multi: tuple[Threshold, ...]


def choose_threshold(
    accuracy_by_cut: Float[np.ndarray, " cuts"],
    *,
    source: ThresholdSource,
    chosen_on: str,
    step: float = 0.001,
) -> Threshold:
    """Return the first threshold of the grid with the best accuracy.

    Args:
        accuracy_by_cut: a curve over all 256 cuts (`summary.curves`).
        source: "held-out" if the threshold is for another split, "oracle" if for the same one.
        chosen_on: the split that the curve was measured on.
        step: spacing of the thresholds tried.
    """
    taus = tau_grid(step)
    best = int(np.argmax(accuracy_by_cut[cut_of_tau(taus)]))
    return Threshold(float(taus[best]), source, chosen_on)

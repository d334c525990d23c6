"""What several evaluations got right, image by image, and whether their differences are more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lctr_jax.localization.bootstrap import percentile_interval, resample_means
from lctr_jax.localization.metrics import METRICS

PAIRED_RESAMPLES, PAIRED_SEED = 10_000, 0
"""Bootstrap replicates of a comparison, and the seed that draws them."""

Replicates = Mapping[str, Float[np.ndarray, " resamples"]]
"""A metric's value in every bootstrap replicate, in percent, by name."""

_NEEDS_BOXES = {metric.name for metric in METRICS if metric.needs == "boxes"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """The metrics of single images, in order of their ids.

    Attributes:
        ids: of the images, sorted.
        boxed: which images have true boxes.
        values: of every image, in percent, by name of the metric; NaN where an image without true boxes has
            none. A metric of the split is the mean over its images.
    """

    ids: Sequence[str]
    boxed: Bool[np.ndarray, " images"]
    values: Mapping[str, Float[np.ndarray, " images"]]

    def means(self) -> dict[str, float]:
        """Return every metric of the split, in percent."""
        return {name: float(np.mean(values[self._counted(name)])) for name, values in self.values.items()}

    def _counted(self, name: str) -> Bool[np.ndarray, " images"]:
        return self.boxed if name in _NEEDS_BOXES else np.ones_like(self.boxed)


class Difference(NamedTuple):
    """A difference of two evaluations of the same images, in percentage points.

    Attributes:
        value: the difference.
        low: lower end of the 95% bootstrap interval.
        high: upper end.
        other_sign: share of the replicates, in percent, that are zero or have the other sign.
    """

    value: float
    low: float
    high: float
    other_sign: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def average_outcomes(seeds: Sequence[Outcomes]) -> Outcomes:
    """Return the mean over seeds for every image; all must have the same images."""
    first = seeds[0]
    values = {name: np.mean([each.values[name] for each in seeds], axis=0) for name in first.values}
    return Outcomes(ids=first.ids, boxed=first.boxed, values=values)


def resample_outcomes(
    runs: Sequence[Outcomes], *, num_resamples: int = PAIRED_RESAMPLES, seed: int = PAIRED_SEED
) -> list[Replicates]:
    """Return every run's metrics on the same bootstrap resamples of the images, which makes them paired."""
    shared = [name for name in runs[0].values if all(name in run.values for run in runs)]
    found: list[dict[str, np.ndarray]] = [{} for _ in runs]
    for needs_boxes in (False, True):
        names = [name for name in shared if (name in _NEEDS_BOXES) == needs_boxes]
        images = runs[0].boxed if needs_boxes else np.ones_like(runs[0].boxed)
        if not names or not images.any():
            continue
        columns = np.stack([run.values[name][images] for run in runs for name in names], axis=1)
        means = resample_means(columns, num_resamples=num_resamples, seed=seed)
        for index, replicates in enumerate(np.split(means, len(runs), axis=1)):
            found[index] |= dict(zip(names, replicates.T, strict=True))
    return list(found)


def difference(
    value: float,
    replicates: Float[np.ndarray, " resamples"],
    reference: float,
    reference_replicates: Float[np.ndarray, " resamples"],
) -> Difference:
    """Return value - reference with its paired bootstrap interval."""
    observed, replicated = value - reference, replicates - reference_replicates
    low, high = percentile_interval(replicated)
    other = np.mean(replicated * np.sign(observed) <= 0)
    return Difference(observed, low, high, 100 * float(other))

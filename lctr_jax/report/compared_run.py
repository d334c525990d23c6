"""A finished evaluation, or the mean of several seeds, as a page shows it next to others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lctr_jax.localization.bootstrap import percentile_interval
from lctr_jax.localization.metrics import METRICS
from lctr_jax.localization.outcomes import Difference, Outcomes, Replicates, difference
from lctr_jax.report.charts import RunCurve
from lctr_jax.report.saved_pictures import SavedPicture


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedRun:
    """A run, or several seeds of one config.

    Attributes:
        name: unique among the compared runs.
        detail: method and backbone; empty if unknown.
        seeds: number of seeds.
        metrics: `metrics.json` of the first seed.
        spreads: `mean`, `std` and `values` over seeds of every metric, in percent, by name.
        outcomes: of every image, mean over seeds.
        curve: GT-known Loc at every threshold, mean over seeds; None without true boxes.
        pictures: of the first seed, by id; None if the evaluation saved none.
    """

    name: str
    detail: str
    seeds: int
    metrics: Mapping[str, Any]
    spreads: Mapping[str, Mapping[str, Any]]
    outcomes: Outcomes
    curve: RunCurve | None
    pictures: Mapping[str, SavedPicture] | None


@dataclass(frozen=True, kw_only=True)
class ComparedValue:
    """A run's value of a metric, in percent, with its deviation over seeds and its interval over images."""

    value: float
    std: float | None
    interval: Sequence[float] | None


@dataclass(frozen=True, kw_only=True)
class MetricDifference:
    """A metric's difference of a run from the first run, in percentage points, and what it means."""

    title: str
    difference: Difference

    @property
    def verdict(self) -> str:
        """Whether the images show a difference, in words."""
        if not self.difference.is_significant:
            return "not significant"
        return "better" if self.difference.value > 0 else "worse"


def compared_values(
    runs: Sequence[ComparedRun], replicates: Sequence[Replicates]
) -> list[tuple[str, str, list[ComparedValue | None]]]:
    """Return title, meaning and every run's value of each metric that a run has, in reading order.

    The intervals of single runs are their reports'; of several seeds, those of the mean over seeds.
    """
    rows = []
    for metric in METRICS:
        values = [_value(run, own, metric.name) for run, own in zip(runs, replicates, strict=True)]
        if any(value is not None for value in values):
            rows.append((metric.title, metric.meaning, values))
    return rows


def compared_differences(
    runs: Sequence[ComparedRun], replicates: Sequence[Replicates]
) -> list[tuple[ComparedRun, list[MetricDifference]]]:
    """Return the differences of every run from the first one, of all metrics of single images."""
    means = [run.outcomes.means() for run in runs]
    titles = {metric.name: metric.title for metric in METRICS}
    return [
        (
            run,
            [
                MetricDifference(
                    title=titles[name],
                    difference=difference(own[name], values, means[0][name], replicates[0][name]),
                )
                for name, values in own_replicates.items()
            ],
        )
        for run, own, own_replicates in list(zip(runs, means, replicates, strict=True))[1:]
    ]


def _value(run: ComparedRun, replicates: Replicates, name: str) -> ComparedValue | None:
    if name not in run.spreads:
        return None
    spread = run.spreads[name]
    if run.seeds == 1:
        interval = run.metrics.get("intervals_95", {}).get(name)
    else:
        interval = percentile_interval(replicates[name]) if name in replicates else None
    return ComparedValue(value=spread["mean"], std=spread["std"], interval=interval)

"""An evaluation's metrics for the report: meaning, threshold, and comparison with baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lctr_jax.localization.metrics import METRICS, ThresholdKind

Metrics = Mapping[str, Any]

BASELINES = {
    "full_image": "Full-image box",
    "centered_box": "Centered square",
    "centered_gaussian": "Centered Gaussian",
    "untrained": "Same network, untrained",
    "before_training": "Same network, before training",
}
"""Names of the baselines in an evaluation."""

OUTCOMES = {
    "correct": ("Correct", "IoU of at least 0.5, and the class is right."),
    "wrong_class": ("Wrong class", "IoU of at least 0.5, but the class is wrong."),
    "multi_instance": ("Several objects", "One box over two or more true boxes, 30% of each or more."),
    "part": ("Only a part", "More than half of the box lies inside one true box, and the rest is missed."),
    "more": ("Too large", "The box covers more than 70% of a true box, and much besides."),
    "other": ("Elsewhere", "None of these: mostly a box that misses the object."),
}
"""Title and meaning of each error type."""


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """A row of the table of metrics; `value` and `interval` (95% bootstrap) are in percent."""

    name: str
    value: float
    interval: Sequence[float] | None
    threshold: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A row of the comparison with baselines, in percent."""

    name: str
    value: float
    note: str
    interval: Sequence[float] | None = None


def metric_rows(metrics: Metrics) -> list[MetricRow]:
    """Return all metrics of the evaluation, in reading order."""
    source = metrics.get("threshold_source", "")
    held_out = source if source.startswith("held-out") else "held-out"
    thresholds: dict[ThresholdKind, str] = {
        "none": "none",
        "reported": f"{metrics['threshold']:.3f}, {source}" if source else "none",
        "held-out": f"one per IoU level, {held_out}",
        "oracle": "oracle: best on these images",
        "all": "all",
    }
    intervals = metrics.get("intervals_95", {})
    return [
        MetricRow(
            name=metric.title,
            value=metrics[metric.name],
            interval=intervals.get(metric.name),
            threshold=thresholds[metric.threshold],
            meaning=metric.meaning,
        )
        for metric in METRICS
        if metric.name in metrics
    ]


def comparison(metrics: Metrics, name: str = "gt_known_loc") -> list[Bar]:
    """Return the bars of a metric for the network and its baselines; empty if the baselines lack it."""
    baselines: Mapping[str, Metrics] = metrics.get("baselines", {})
    rows = {key: row for key, row in baselines.items() if name in row}
    if name not in metrics or not rows:
        return []
    reported = next(metric.threshold for metric in METRICS if metric.name == name) == "reported"
    own = Bar(
        name="This network",
        value=metrics[name],
        interval=metrics.get("intervals_95", {}).get(name),
        note=f"threshold {metrics['threshold']:.3f}, {metrics['threshold_source']}" if reported else "",
    )
    bars = [
        Bar(name=BASELINES.get(key, key), value=row[name], note=_how(row) if reported else "")
        for key, row in rows.items()
    ]
    return [own, *bars]


def comparisons(metrics: Metrics) -> list[tuple[str, list[Bar]]]:
    """Return title and bars of every metric that has baselines, GT-known Loc first."""
    compared = [(metric.title, comparison(metrics, metric.name)) for metric in METRICS if metric.compared]
    return [(title, bars) for title, bars in compared if bars]


def verdict(metrics: Metrics) -> str:
    """State in one sentence whether the network beats the best baseline, by GT-known Loc or else by PxAP.

    Empty without boxes and masks.
    """
    name = "gt_known_loc" if "gt_known_loc" in metrics else "pxap"
    bars = comparison(metrics, name)
    if not bars:
        return ""
    best = max(bars[1:], key=lambda bar: bar.value)
    rival = f"the best baseline ({best.name}, {best.value:.1f})"
    if name not in metrics.get("intervals_95", {}):
        return f"{'Above' if bars[0].value > best.value else 'Not above'} {rival}; PxAP has no interval."
    low, high = metrics["intervals_95"][name]
    if low > best.value:
        return f"Better than every baseline: the 95% interval is entirely above {rival}."
    if high < best.value:
        return f"Worse than {rival}: the 95% interval is entirely below it."
    return f"Not significantly different from {rival}, which lies within the 95% interval."


def _how(baseline: Metrics) -> str:
    """Describe how a baseline was optimized."""
    if "threshold" in baseline:
        return f"at its own best threshold on these images, {baseline['threshold']:.3f}"
    return (
        "best size on these images" if baseline["size_source"] == "oracle" else "does not look at the image"
    )

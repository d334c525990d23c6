"""An evaluation's numbers in words: what each one counts, at which threshold, against what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]

BASELINES = {
    "full_image": "Full-image box",
    "centered_box": "Centered square",
    "centered_gaussian": "Centered Gaussian",
    "untrained": "Same network, untrained",
    "before_training": "Same network, before training",
}
"""Names of the baselines that an evaluation may hold."""

OUTCOMES = {
    "correct": ("Correct", "IoU of at least 0.5, and the class is right."),
    "wrong_class": ("Wrong class", "IoU of at least 0.5, but the class is wrong."),
    "multi_instance": ("Several objects", "One box over two or more true boxes, 30% of each or more."),
    "part": ("Only a part", "More than half of the box lies inside one true box, and the rest is missed."),
    "more": ("Too large", "The box covers more than 70% of a true box, and much besides."),
    "other": ("Elsewhere", "None of these: mostly a box that misses the object."),
}
"""Title and meaning of each error type."""

_CLASSIFICATION = {
    "top1_cls": ("Top-1 classification", "The class with the highest score is the right one."),
    "top5_cls": ("Top-5 classification", "The right class is among the five with the highest scores."),
}
_AT_THE_THRESHOLD = {
    "gt_known_loc": ("GT-known Loc", "The box has IoU ≥ 0.5 with a true box, whatever the class."),
    "top1_loc": ("Top-1 Loc", "The same, and the class is right."),
    "top5_loc": ("Top-5 Loc", "The same, and the right class is among the first five."),
    "label_gt_known_loc": (
        "GT-known Loc, true class",
        "GT-known Loc of the box drawn from the true class's map, as if the class had been given.",
    ),
    "mean_iou": ("Mean IoU", "How much of predicted and true box together they share, on average."),
}
_AT_THE_BEST_THRESHOLD = {
    "oracle_gt_known_loc": ("GT-known Loc, oracle", "GT-known Loc if the best threshold had been known."),
    "max_box_acc": (
        "MaxBoxAcc",
        "wsoleval: the largest region of the true class's map, boxed, has IoU ≥ 0.5 with a true box.",
    ),
    "max_box_acc_v2": (
        "MaxBoxAccV2",
        "wsoleval: the best box of all regions of that map; mean over IoU ≥ 0.3, 0.5 and 0.7.",
    ),
}
_AT_HELD_OUT_THRESHOLDS = {
    "box_acc": ("BoxAcc", "MaxBoxAcc at a threshold chosen on other images: its honest twin."),
    "box_acc_v2": ("BoxAccV2", "MaxBoxAccV2 at thresholds chosen on other images."),
}
_OF_PIXELS = {
    "pxap": ("PxAP", "Area under precision and recall of the true class's map, pixel by pixel, on the masks.")
}


@dataclass(frozen=True, kw_only=True)
class Number:
    """A row of the table of numbers; `interval` is the 95% bootstrap interval, `value` in percent."""

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


def numbers(metrics: Metrics) -> list[Number]:
    """Every number that the evaluation has, in reading order."""
    source = metrics.get("threshold_source", "")
    fixed = f"{metrics['threshold']:.3f}, {source}" if source else "none"
    held_out = source if source.startswith("held-out") else "held-out"
    families = (
        (_CLASSIFICATION, "none"),
        (_AT_THE_THRESHOLD, fixed),
        (_AT_HELD_OUT_THRESHOLDS, f"one a curve, {held_out}"),
        (_AT_THE_BEST_THRESHOLD, "oracle: the best on these images"),
        (_OF_PIXELS, "all"),
    )
    intervals = metrics.get("intervals_95", {})
    return [
        Number(
            name=name,
            value=metrics[key],
            interval=intervals.get(key),
            threshold=threshold,
            meaning=meaning,
        )
        for family, threshold in families
        for key, (name, meaning) in family.items()
        if key in metrics
    ]


def comparison(metrics: Metrics) -> list[Bar]:
    """GT-known Loc of the network and of what it has to beat; empty without boxes."""
    if "baselines" not in metrics:
        return []
    baselines: Mapping[str, Metrics] = metrics["baselines"]
    own = Bar(
        name="This network",
        value=metrics["gt_known_loc"],
        interval=metrics["intervals_95"]["gt_known_loc"],
        note=f"threshold {metrics['threshold']:.3f}, {metrics['threshold_source']}",
    )
    return [own] + [
        Bar(name=BASELINES.get(name, name), value=row["gt_known_loc"], note=_how(row))
        for name, row in baselines.items()
    ]


def verdict(metrics: Metrics) -> str:
    """Whether the network beats the best baseline, in a sentence; empty without boxes."""
    bars = comparison(metrics)
    if not bars:
        return ""
    best = max(bars[1:], key=lambda bar: bar.value)
    rival = f"the best baseline ({best.name}, {best.value:.1f})"
    low, high = metrics["intervals_95"]["gt_known_loc"]
    if low > best.value:
        return f"Better than every baseline: the whole 95% interval lies above {rival}."
    if high < best.value:
        return f"Worse than {rival}: the whole 95% interval lies below it."
    return f"Not told apart from {rival}: it lies within the 95% interval."


def _how(baseline: Metrics) -> str:
    """How a baseline was made as good as it is."""
    if "threshold" in baseline:
        return f"at its own best threshold on these images, {baseline['threshold']:.3f}"
    return "the best size on these images" if baseline["size_source"] == "oracle" else "no image looked at"

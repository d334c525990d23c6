"""From sums to metrics, each with the source of its threshold."""

from typing import Any

import numpy as np
from jaxtyping import Float

from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.maps import tau_grid
from lctr_jax.localization.metric_values import percent, pixel_iou_by_tau
from lctr_jax.localization.metrics import METRICS
from lctr_jax.localization.settings import IOU_LEVELS, Settings
from lctr_jax.localization.sums import IOU_UNIT, NUM_IOU_BINS, Sums
from lctr_jax.localization.thresholds import CurveThresholds, Threshold, ThresholdSource, choose_threshold


def summarize(sums: Sums, settings: Settings) -> dict[str, Any]:
    """Return every metric in percent, with protocol, threshold and threshold source.

    Without true boxes there are no metrics of boxes, and without masks none of pixels.
    """
    counts = sums.counts
    values = {metric.name: metric.value(sums, settings) for metric in METRICS}
    summary: dict[str, Any] = {
        "protocol": settings.protocol.name,
        "num_images": int(counts.images),
        "num_images_with_boxes": int(counts.boxed),
        "flat_maps": int(sums.flat_maps),
        "frame_covering_boxes": int(sums.frame_covering_boxes),
        **{name: value for name, value in values.items() if value is not None},
    }
    if counts.boxed:
        summary |= _describe_boxes(sums, settings)
    elif oracle := choose_pixel_threshold(sums, settings, source="oracle", chosen_on="this split"):
        summary |= _describe_threshold(settings, oracle)
    if settings.num_resamples and counts.images:
        intervals = {metric.name: metric.interval(sums, settings) for metric in METRICS}
        summary["intervals_95"] = {name: ends for name, ends in intervals.items() if ends is not None}
    return summary


def curves(sums: Sums) -> dict[str, Float[np.ndarray, " cuts"]]:
    """Return the accuracy in percent at every cut: `gt_known_loc`, `top1_loc`, `max_box_acc_50`, ..."""
    counts = sums.counts
    by_name = {
        "gt_known_loc": counts.located,
        "top1_loc": counts.top1_located,
        "top5_loc": counts.top5_located,
        "label_gt_known_loc": counts.label_located,
    }
    for family, located in (("max_box_acc", counts.single_located), ("max_box_acc_v2", counts.multi_located)):
        by_name |= {
            f"{family}_{round(100 * level)}": row for level, row in zip(IOU_LEVELS, located, strict=True)
        }
    return {name: percent(count, counts.boxed) for name, count in by_name.items()}


def class_table(sums: Sums) -> list[dict[str, Any]]:
    """Return a row for every class that occurs: counts, accuracies and mean IoU in percent.

    The localization columns are None for a class without true boxes.
    """
    rows = []
    for label, counts in enumerate(sums.per_class.tolist()):
        images, top1, boxed, located, top1_located, iou = counts
        if not images:
            continue
        rows.append(
            {
                "label": label,
                "num_images": images,
                "top1_cls": 100 * top1 / images,
                "gt_known_loc": 100 * located / boxed if boxed else None,
                "top1_loc": 100 * top1_located / boxed if boxed else None,
                "mean_iou": 100 * iou * IOU_UNIT / boxed if boxed else None,
            }
        )
    return rows


def choose_curve_thresholds(sums: Sums, *, chosen_on: str, step: float = 0.001) -> CurveThresholds:
    """Return the best threshold of each of wsoleval's curves, for use on another split."""
    counts = sums.counts
    single, multi = (
        tuple(
            choose_threshold(percent(row, counts.boxed), source="held-out", chosen_on=chosen_on, step=step)
            for row in located
        )
        for located in (counts.single_located, counts.multi_located)
    )
    return CurveThresholds(single=single, multi=multi)


def choose_pixel_threshold(
    sums: Sums, settings: Settings, *, source: ThresholdSource, chosen_on: str
) -> Threshold | None:
    """Return the threshold with the best pixel IoU; None if no mask has an object pixel."""
    by_tau = pixel_iou_by_tau(sums)
    if by_tau is None:
        return None
    return Threshold(float(tau_grid(settings.tau_step)[by_tau.argmax()]), source, chosen_on)


def _describe_threshold(settings: Settings, oracle: Threshold) -> dict[str, Any]:
    return {
        "map_class": settings.boxed_class,
        "threshold": settings.threshold.tau,
        "threshold_source": settings.threshold.describe(),
        "oracle_threshold": oracle.tau,
    }


def _describe_boxes(sums: Sums, settings: Settings) -> dict[str, Any]:
    boxed = int(sums.counts.boxed)
    oracle = choose_threshold(
        curves(sums)["gt_known_loc"], source="oracle", chosen_on="this split", step=settings.tau_step
    )
    return {
        **_describe_threshold(settings, oracle),
        "first_box_only": settings.first_box_only,
        "max_box_acc_threshold_source": "oracle",
        "iou_histogram": sums.iou_histogram.tolist(),
        "iou_histogram_edges": (np.arange(NUM_IOU_BINS + 1) / NUM_IOU_BINS).tolist(),
        "errors": {
            name: percent(int(count), boxed) for name, count in zip(ERROR_TYPES, sums.errors, strict=True)
        },
    }

"""An evaluation's metrics as a few lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from lctr_jax.inference.threshold import CALIBRATE
from lctr_jax.localization.metrics import METRICS, Metric, ThresholdKind


def format_summary(metrics: Mapping[str, Any]) -> str:
    """Format the metrics together with protocol, threshold and baselines."""
    images = metrics["num_images"]
    lines = [f"{metrics['split']} ({images} images): {_row(metrics, 'none')}"]
    if "gt_known_loc" in metrics:
        lines += [
            f"protocol {metrics['protocol']}, threshold {metrics['threshold']:.3f} "
            f"({metrics['threshold_source']}), IoU >= 0.5: {_row(metrics, 'reported')}",
            f"wsoleval's box rules in this frame, threshold oracle: {_row(metrics, 'oracle')}",
        ]
    else:
        measured = "classification and PxAP" if "pxap" in metrics else "classification only"
        lines += [
            f"no boxes in this split: {measured}",
            f"the threshold of this network's boxes is not calibrated: {CALIBRATE}",
        ]
    if "pxap" in metrics:
        lines.append(f"on masks, protocol {metrics['protocol']}, all thresholds: {_row(metrics, 'all')}")
    lines += [line for metric in METRICS if metric.compared and (line := _baselines(metrics, metric))]
    lines.append(
        f"flat maps: {metrics['flat_maps']} of {images} images; "
        f"boxes over 95% of the frame: {metrics['frame_covering_boxes']}"
    )
    return "\n".join(lines)


def _row(metrics: Mapping[str, Any], threshold: ThresholdKind) -> str:
    """Format the metrics of one kind of threshold, with intervals for those compared with baselines."""
    return "  ".join(
        f"{metric.title} {_with_interval(metrics, metric)}"
        for metric in METRICS
        if metric.threshold == threshold and metric.on_terminal and metric.name in metrics
    )


def _baselines(metrics: Mapping[str, Any], metric: Metric) -> str:
    rows = metrics.get("baselines", {})
    values = [f"{name} {row[metric.name]:.2f}" for name, row in rows.items() if metric.name in row]
    return f"{metric.title} of baselines: {'  '.join(values)}" if values else ""


def _with_interval(metrics: Mapping[str, Any], metric: Metric) -> str:
    value = f"{metrics[metric.name]:.2f}"
    if not metric.compared or metric.name not in metrics.get("intervals_95", {}):
        return value
    low, high = metrics["intervals_95"][metric.name]
    return f"{value} (95% interval {low:.1f} to {high:.1f})"

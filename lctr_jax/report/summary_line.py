"""An evaluation's metrics as a few lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from lctr_jax.inference.threshold import CALIBRATE
from lctr_jax.localization.metrics import METRICS, Metric, ThresholdKind


def format_summary(metrics: Mapping[str, Any]) -> str:
    """Format the metrics together with protocol, threshold and baselines."""
    images, boxed, masked = metrics["num_images"], "gt_known_loc" in metrics, "pxap" in metrics
    lines = [f"{metrics['split']} ({images} images): {_row(metrics, 'none')}"]
    if boxed:
        lines += [
            f"protocol {metrics['protocol']}, threshold {_threshold(metrics)}, IoU >= 0.5: "
            f"{_row(metrics, 'reported', needs='boxes')}",
            f"wsoleval's box rules in this frame, threshold oracle: {_row(metrics, 'oracle', needs='boxes')}",
        ]
    else:
        measured = "classification and PxAP" if masked else "classification only"
        lines.append(f"no boxes in this split: {measured}")
    if masked:
        lines.append(
            f"on masks, protocol {metrics['protocol']}, all thresholds: {_row(metrics, 'all')}; threshold "
            f"{_threshold(metrics)}: {_row(metrics, 'reported', needs='masks')}; threshold oracle: "
            f"{_row(metrics, 'oracle', needs='masks')}"
        )
    if not boxed and not metrics.get("threshold_source", "").startswith("held-out"):
        lines.append(f"the threshold of this network's boxes is not calibrated: {CALIBRATE}")
    lines += [line for metric in METRICS if metric.compared and (line := _baselines(metrics, metric))]
    lines.append(
        f"flat maps: {metrics['flat_maps']} of {images} images; "
        f"boxes over 95% of the frame: {metrics['frame_covering_boxes']}"
    )
    return "\n".join(lines)


def _threshold(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['threshold']:.3f} ({metrics['threshold_source']})"


def _row(metrics: Mapping[str, Any], threshold: ThresholdKind, *, needs: str | None = None) -> str:
    """Format the metrics of one kind of threshold, with intervals for those compared with baselines."""
    return "  ".join(
        f"{metric.title} {_with_interval(metrics, metric)}"
        for metric in METRICS
        if metric.threshold == threshold
        and (needs is None or metric.needs == needs)
        and metric.on_terminal
        and metric.name in metrics
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

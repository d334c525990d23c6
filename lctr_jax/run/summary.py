"""Mean and standard deviation of several runs' metrics."""

import statistics
from pathlib import Path
from typing import Any

from lctr_jax.json_objects import describe, read_object, require_number

METRICS = (
    "top1_cls",
    "top5_cls",
    "top1_loc",
    "top5_loc",
    "gt_known_loc",
    "oracle_gt_known_loc",
    "label_gt_known_loc",
    "max_box_acc",
    "max_box_acc_v2",
    "box_acc",
    "box_acc_v2",
    "pxap",
    "mean_iou",
    "threshold",
)
"""Rows of the table, where a run has them; every baseline's GT-known Loc follows."""

SAME = ("protocol", "split", "num_images", "map_class", "first_box_only", "threshold_source")
"""What runs must share for an average to mean anything."""


def read_metrics(run: Path) -> dict[str, Any]:
    """Reads a run's `eval/metrics.json`; RUN may also be that file.

    Raises:
        FileNotFoundError: the run has not been evaluated.
        ValueError: the file holds something else.
    """
    path = run if run.is_file() else run / "eval" / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(f"run: no {path}; expected the --workdir of a finished train.py")
    metrics = read_object(path)
    if "protocol" not in metrics:
        raise ValueError(f"{path}: expected the metrics of an evaluation, with a protocol")
    _check_types(metrics, where=str(path))
    return metrics


def _check_types(metrics: dict[str, Any], *, where: str) -> None:
    for key in SAME:
        if not isinstance(metrics.get(key), str | int | float | None):
            raise ValueError(f"{where}: {key}: got {describe(metrics[key])}, expected one value")
    for key in METRICS:
        if metrics.get(key) is not None:
            require_number(metrics[key], where=f"{where}: {key}")
    baselines = metrics.get("baselines", {})
    if not isinstance(baselines, dict):
        raise ValueError(f"{where}: baselines: got {describe(baselines)}, expected an object")
    for name, baseline in baselines.items():
        score = baseline.get("gt_known_loc") if isinstance(baseline, dict) else None
        require_number(score, where=f"{where}: gt_known_loc of baseline {name!r}")


def summarize_runs(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns mean, sample standard deviation and values of every metric that all runs have.

    Raises:
        ValueError: the runs differ in protocol, split, number of images, or where their threshold is from.
    """
    _check_comparable(runs)
    rows = {name: _metric_rows(metrics) for name, metrics in runs.items()}
    shared = [key for key in next(iter(rows.values())) if all(key in row for row in rows.values())]
    first = next(iter(runs.values()))
    return {
        "runs": list(runs),
        **{key: first[key] for key in SAME if key in first},
        "metrics": {key: _spread([row[key] for row in rows.values()]) for key in shared},
    }


def _check_comparable(runs: dict[str, dict[str, Any]]) -> None:
    (first_name, first), *others = runs.items()
    for name, metrics in others:
        for key in SAME:
            if metrics.get(key) != first.get(key):
                raise ValueError(
                    f"runs: {key} is {first.get(key)!r} in {first_name} but {metrics.get(key)!r} in {name}; "
                    "expected runs that differ in their seed alone"
                )


def _metric_rows(metrics: dict[str, Any]) -> dict[str, float]:
    rows = {key: metrics[key] for key in METRICS if metrics.get(key) is not None}
    for name, baseline in metrics.get("baselines", {}).items():
        rows[f"baseline {name}"] = baseline["gt_known_loc"]
    return rows


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
    }

"""Mean and standard deviation of several runs' metrics."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lctr_jax.json_objects import describe_value, read_object, require_number
from lctr_jax.localization.metrics import METRICS
from lctr_jax.run.evaluated_config import differences, is_same_training, read_evaluated

ROWS = (*(metric.name for metric in METRICS), "threshold")
"""Rows of the table, if a run has them; the compared metrics of every baseline follow."""

SAME = ("protocol", "split", "num_images", "map_class", "first_box_only", "threshold_source")
"""What runs must share to be averaged."""


def summarize_folders(runs: Sequence[Path]) -> dict[str, Any]:
    """Summarize runs that are seeds of one config.

    Raises:
        FileNotFoundError: a run has not been evaluated.
        ValueError: a run is given twice, or two differ in more than their seed.
    """
    metrics = {str(run): read_metrics(run) for run in runs}
    _check_seeds(runs)
    return summarize_runs(metrics)


def has_config(run: Path) -> bool:
    """Return whether a run contains the options of its evaluation."""
    return read_evaluated(_metrics_path(run)) is not None


def _check_seeds(runs: Sequence[Path]) -> None:
    """Refuse runs that are not different seeds of one config, as far as they contain one."""
    paths: dict[Path, Path] = {}
    for run in runs:
        if (same := paths.setdefault(_metrics_path(run).resolve(), run)) is not run:
            raise ValueError(f"runs: {same} and {run} are the same run; expected runs of different seeds")
    evaluated = {run: read_evaluated(_metrics_path(run)) for run in runs}
    known = {run: each for run, each in evaluated.items() if each is not None}
    for (first, ours), (second, theirs) in itertools.combinations(known.items(), 2):
        if different := differences(ours, theirs):
            raise ValueError(
                f"runs: {first} and {second} differ in more than their seed: {'; '.join(different)}; "
                "expected runs that differ only in their seed"
            )
        if is_same_training(ours, theirs):
            raise ValueError(
                f"runs: {first} and {second} have the same seed or checkpoint, so they are the same run; "
                "expected runs that differ in their seed"
            )


def read_metrics(run: Path) -> dict[str, Any]:
    """Read a run's `eval/metrics.json`; `run` may also be that file.

    Raises:
        FileNotFoundError: the run has not been evaluated.
        ValueError: the file has other content.
    """
    path = _metrics_path(run)
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
            raise ValueError(f"{where}: {key}: got {describe_value(metrics[key])}, expected one value")
    for key in ROWS:
        if metrics.get(key) is not None:
            require_number(metrics[key], where=f"{where}: {key}")
    baselines = metrics.get("baselines", {})
    if not isinstance(baselines, dict):
        raise ValueError(f"{where}: baselines: got {describe_value(baselines)}, expected an object")
    for name, baseline in baselines.items():
        scores = _scores(baseline) if isinstance(baseline, dict) else {}
        if not _compared(scores):
            scores["gt_known_loc"] = None
        for key, score in scores.items():
            require_number(score, where=f"{where}: {key} of baseline {name!r}")


def _metrics_path(run: Path) -> Path:
    return run if run.is_file() else run / "eval" / "metrics.json"


def summarize_runs(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return mean, sample standard deviation and values of every metric that all runs have.

    `metrics` includes the baselines' values of the metrics that are compared with them; `baselines` has all
    values of each baseline.

    Raises:
        ValueError: the runs differ in protocol, split, number of images, or source of the threshold.
    """
    require_same_evaluation(runs, SAME, expected="runs that differ only in their seed")
    rows = {name: _metric_rows(metrics) for name, metrics in runs.items()}
    shared = [key for key in next(iter(rows.values())) if all(key in row for row in rows.values())]
    first = next(iter(runs.values()))
    return {
        "runs": list(runs),
        **{key: first[key] for key in SAME if key in first},
        "metrics": {key: _spread([row[key] for row in rows.values()]) for key in shared},
        "baselines": _summarize_baselines(list(runs.values())),
    }


def _summarize_baselines(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the spread of each metric of each baseline that all runs have."""
    found = [run.get("baselines", {}) for run in runs]
    names = [name for name in found[0] if all(name in baselines for baselines in found)]
    scores = {name: [_scores(baselines[name]) for baselines in found] for name in names}
    return {
        name: {key: _spread([row[key] for row in rows]) for key in rows[0] if all(key in row for row in rows)}
        for name, rows in scores.items()
    }


def require_same_evaluation(
    runs: Mapping[str, Mapping[str, Any]], keys: Sequence[str], *, expected: str
) -> None:
    """Check that the metrics of several runs, by name, have the same values of some keys.

    Raises:
        ValueError: two differ; the message says that `expected` was expected.
    """
    (first_name, first), *others = runs.items()
    for name, metrics in others:
        for key in keys:
            if metrics.get(key) != first.get(key):
                raise ValueError(
                    f"runs: {key} is {first.get(key)!r} in {first_name} but {metrics.get(key)!r} in {name}; "
                    f"expected {expected}"
                )


def _metric_rows(metrics: dict[str, Any]) -> dict[str, float]:
    rows = {key: metrics[key] for key in ROWS if metrics.get(key) is not None}
    for name, baseline in metrics.get("baselines", {}).items():
        for key, value in _compared(baseline).items():
            rows[f"baseline {name}" if key == "gt_known_loc" else f"baseline {name} {key}"] = value
    return rows


def _scores(baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Return a baseline's metrics."""
    return {metric.name: baseline[metric.name] for metric in METRICS if metric.name in baseline}


def _compared(baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Return a baseline's values of the metrics that are compared with baselines."""
    names = [metric.name for metric in METRICS if metric.compared]
    return {name: value for name, value in _scores(baseline).items() if name in names}


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
    }

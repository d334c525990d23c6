"""Several finished evaluations of the same images, read from their folders and checked to be comparable."""

import csv
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lctr_jax.evaluation.prediction_outcomes import read_outcomes
from lctr_jax.evaluation.tables import CURVES
from lctr_jax.localization.outcomes import Outcomes, average_outcomes
from lctr_jax.report.charts import RunCurve
from lctr_jax.report.compared_run import ComparedRun
from lctr_jax.report.saved_pictures import PICTURES, read_pictures
from lctr_jax.run.evaluated_config import read_evaluated
from lctr_jax.run.seed_summary import SAME, read_metrics, require_same_evaluation, summarize_folders

_SAME = tuple(key for key in SAME if key not in ("num_images", "threshold_source"))
_NAMED = 3  # images in a message


def open_runs(runs: Sequence[Path]) -> list[ComparedRun]:
    """Read the runs: workdirs of evaluated runs, or folders of several seeds of one config.

    Notes on what is missing or ignored are printed.

    Raises:
        FileNotFoundError: a run has not been evaluated, or one of its files is missing.
        ValueError: fewer than two runs, a run is given twice, a file has other content, or the runs differ
            in split, protocol or images.
    """
    if len(runs) < 2:
        raise ValueError(f"runs: got {len(runs)}, expected two or more to compare")
    paths: dict[Path, Path] = {}
    for run in runs:
        if (same := paths.setdefault(run.resolve(), run)) is not run:
            raise ValueError(f"runs: {same} and {run} are the same run; expected different ones")
    folders = [_find_seeds(run) for run in runs]
    metrics = {str(run): read_metrics(seeds[0]) for run, seeds in zip(runs, folders, strict=True)}
    require_same_evaluation(metrics, _SAME, expected="evaluations of the same split by the same rules")
    opened = [_open(name, seeds) for name, seeds in zip(_short_names(runs), folders, strict=True)]
    for run, given in zip(opened[1:], runs[1:], strict=True):
        _require_same_images(opened[0].outcomes, run.outcomes, str(runs[0]), str(given))
    _note_differences(opened)
    return opened


def _find_seeds(run: Path) -> list[Path]:
    """Return the evaluated runs in a folder: itself, or those of its seeds."""
    if (run / "eval" / "metrics.json").is_file():
        return [run]
    numbered = [folder for folder in run.glob("*") if folder.name.isdecimal() and folder.is_dir()]
    numbered.sort(key=lambda folder: int(folder.name))
    evaluated = [folder for folder in numbered if (folder / "eval" / "metrics.json").is_file()]
    if not evaluated:
        raise FileNotFoundError(
            f"{run}: no eval/metrics.json, and no folders of seeds 0, 1, .. with one; expected the --workdir "
            "of a finished evaluation, or a folder of several seeds such as ablate's WORKDIR/METHOD"
        )
    for folder in numbered:
        if folder not in evaluated:
            _note(f"{folder}: left out, since it has not been evaluated")
    return evaluated


def _short_names(runs: Sequence[Path]) -> list[str]:
    """Return the paths below the last folder that contains all of them."""
    paths = [run.absolute() for run in runs]
    common = os.path.commonpath(paths)
    return [
        str(run) if str(path) == common else os.path.relpath(path, common)
        for run, path in zip(runs, paths, strict=True)
    ]


def _open(name: str, seeds: Sequence[Path]) -> ComparedRun:
    outcomes = [read_outcomes(seed / "eval" / "predictions.jsonl") for seed in seeds]
    for seed, other in zip(seeds[1:], outcomes[1:], strict=True):
        _require_same_images(outcomes[0], other, str(seeds[0]), str(seed))
    metrics = [read_metrics(seed) for seed in seeds]
    for seed, each, own in zip(seeds, metrics, outcomes, strict=True):
        _require_own_lines(seed, each, own)
    pictures = read_pictures(seeds[0] / "eval")
    if pictures is None:
        _note(f"{seeds[0]}: no eval/{PICTURES}, so its images are not shown; evaluating again writes it")
    return ComparedRun(
        name=name,
        detail=_describe(seeds[0]),
        seeds=len(seeds),
        metrics=metrics[0],
        spreads=summarize_folders(seeds)["metrics"],
        outcomes=average_outcomes(outcomes),
        curve=_average_curves(seeds, metrics) if metrics[0].get("num_images_with_boxes") else None,
        pictures=pictures,
    )


def _require_own_lines(run: Path, metrics: Mapping[str, Any], outcomes: Outcomes) -> None:
    """Check that predictions.jsonl and metrics.json are of one evaluation."""
    found = len(outcomes.ids), int(np.sum(outcomes.boxed))
    expected = metrics.get("num_images"), metrics.get("num_images_with_boxes")
    if found != expected:
        raise ValueError(
            f"{run}/eval/predictions.jsonl: got {found[0]} images, {found[1]} with boxes, but metrics.json "
            f"has {expected[0]} and {expected[1]}; evaluate again"
        )


def _require_same_images(first: Outcomes, second: Outcomes, first_name: str, second_name: str) -> None:
    ours, theirs = set(first.ids), set(second.ids)
    for missing, lacking, other in (
        (ours - theirs, second_name, first_name),
        (theirs - ours, first_name, second_name),
    ):
        if missing:
            named = sorted(missing)
            shown = ", ".join(named[:_NAMED]) + (", .." if len(named) > _NAMED else "")
            raise ValueError(
                f"runs: {lacking} lacks {len(missing):,} of the images of {other}: {shown}; expected "
                "evaluations of the same images"
            )
    if (different := np.flatnonzero(first.boxed != second.boxed)).size:
        raise ValueError(
            f"runs: {first.ids[different[0]]} and {different.size - 1:,} others have boxes in only one of "
            f"{first_name} and {second_name}; expected evaluations with the same boxes"
        )


def _average_curves(seeds: Sequence[Path], metrics: Sequence[Mapping[str, Any]]) -> RunCurve:
    curves = [_read_curve(seed / "eval" / CURVES) for seed in seeds]
    chosen = np.mean([(each["threshold"], each["gt_known_loc"]) for each in metrics], axis=0)
    thresholds, accuracies = np.mean(curves, axis=0).T
    return RunCurve(
        thresholds=thresholds.tolist(),
        accuracies=accuracies.tolist(),
        chosen=(float(chosen[0]), float(chosen[1])),
    )


def _read_curve(path: Path) -> list[tuple[float, float]]:
    """Return threshold and GT-known Loc of every row."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return [(float(row["threshold"]), float(row["gt_known_loc"])) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected columns threshold and gt_known_loc of an evaluation") from error


def _describe(run: Path) -> str:
    """Return the evaluated method and backbone, or nothing if they are unknown."""
    evaluated = read_evaluated(run / "eval" / "metrics.json")
    model = {} if evaluated is None else evaluated["evaluation"].get("model", {})
    return ", ".join(str(model[key]) for key in ("method", "name") if model.get(key))


def _note_differences(runs: Sequence[ComparedRun]) -> None:
    sources = {run.name: run.metrics.get("threshold_source") for run in runs}
    if len(set(sources.values())) > 1:
        each = ", ".join(f"{source} for {name}" for name, source in sources.items())
        _note(f"thresholds were chosen in different ways: {each}")


def _note(text: str) -> None:
    print(text, file=sys.stderr)

"""A page that shows several evaluations of the same images side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lctr_jax.localization.outcomes import PAIRED_RESAMPLES, resample_outcomes
from lctr_jax.report.charts import run_line, runs_chart
from lctr_jax.report.compared_run import ComparedRun, MetricDifference, compared_differences, compared_values
from lctr_jax.report.metric_tables import BASELINES, OUTCOMES
from lctr_jax.report.page import render_page
from lctr_jax.report.saved_pictures import SavedPicture


def write_comparison(path: Path, runs: Sequence[ComparedRun], *, facts: Mapping[str, str]) -> list[str]:
    """Write the page, and return a sentence on the main difference of every run from the first one.

    Args:
        path: the file.
        runs: two or more, evaluated on the same images; the others are compared with the first.
        facts: further information, such as versions.
    """
    replicates = resample_outcomes([run.outcomes for run in runs])
    curves = {index: run.curve for index, run in enumerate(runs) if run.curve is not None}
    compared = compared_differences(runs, replicates)
    sentences = [_sentence(run, runs[0], found) for run, found in compared]
    page = render_page(
        "comparison.html.j2",
        scripts=("comparison.js",),
        title=" / ".join(run.name for run in runs),
        runs=runs,
        metrics=runs[0].metrics,
        rows=compared_values(runs, replicates),
        differences=compared,
        sentences=sentences,
        resamples=PAIRED_RESAMPLES,
        best_baseline=_best_baseline(runs[0]),
        chart=runs_chart(curves) if curves else None,
        lines=[run_line(index) for index in range(len(runs))],
        pictured=[run for run in runs if run.pictures],
        pictures=shared_pictures(runs),
        outcomes=OUTCOMES,
        facts=facts,
    )
    path.write_text(page, encoding="utf-8", errors="replace")
    return sentences


def shared_pictures(runs: Sequence[ComparedRun]) -> list[tuple[str, list[SavedPicture]]]:
    """Return the images that all runs with pictures have, those on which they disagree most first.

    Disagreement is the range of IoU; without true boxes, the number of different predicted classes.
    """
    found = [run.pictures for run in runs if run.pictures]
    ids = [name for name in (found[0] if found else {}) if all(name in pictures for pictures in found)]
    rows = [(name, [pictures[name] for pictures in found]) for name in ids]
    return sorted(rows, key=lambda row: (-_disagreement(row[1]), row[0]))


def _disagreement(pictures: Sequence[SavedPicture]) -> float:
    ious = [picture.iou for picture in pictures if picture.iou is not None]
    if len(ious) == len(pictures):
        return max(ious) - min(ious)
    return float(len({picture.top_class for picture in pictures}))


def _sentence(run: ComparedRun, first: ComparedRun, found: Sequence[MetricDifference]) -> str:
    """State the main difference: that of GT-known Loc, or of the class without true boxes."""
    main = next((each for each in found if each.title == "GT-known Loc"), found[0])
    value, low, high, other_sign = main.difference
    start = f"{run.name} against {first.name}, {main.title}: {value:+.1f} points ({low:+.1f} to {high:+.1f})"
    other = f"{other_sign:.1f}% of the resamples have no difference or the other sign"
    if main.difference.is_significant:
        return f"{start}. The difference is significant: the 95% interval excludes 0, and {other}."
    return f"{start}. The images do not show a difference: the 95% interval contains 0, and {other}."


def _best_baseline(run: ComparedRun) -> tuple[str, float] | None:
    """Return name and GT-known Loc of the best content-free baseline, which is the same for all runs."""
    rows = {
        BASELINES[name]: row["gt_known_loc"]
        for name, row in run.metrics.get("baselines", {}).items()
        if name in ("full_image", "centered_box", "centered_gaussian") and "gt_known_loc" in row
    }
    return max(rows.items(), key=lambda row: row[1]) if rows else None

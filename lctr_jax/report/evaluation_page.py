"""`eval/report.html`: the results of an evaluation, with examples of errors, on one page; `pictures.json`."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lctr_jax.evaluation.tables import CURVES, PER_CLASS
from lctr_jax.json_objects import read_object
from lctr_jax.report.charts import iou_chart, threshold_chart
from lctr_jax.report.gallery import GROUPS, Gallery
from lctr_jax.report.gallery_items import gallery_item
from lctr_jax.report.metric_tables import OUTCOMES, comparisons, metric_rows, verdict
from lctr_jax.report.page import render_page
from lctr_jax.report.saved_pictures import write_pictures


def write_report(
    folder: Path,
    gallery: Gallery,
    *,
    title: str,
    class_names: Sequence[str],
    options: Mapping[str, Any],
    facts: Mapping[str, str],
) -> None:
    """Write `report.html` next to the files that it reads, and its random images to `pictures.json`.

    Args:
        folder: contains `metrics.json` and the tables.
        gallery: the selected images.
        title: of the page.
        class_names: one per class.
        options: of the run, nested.
        facts: further information, such as versions.
    """
    metrics = read_object(folder / "metrics.json")
    boxed = bool(metrics["num_images_with_boxes"])
    items = [
        gallery_item(result, groups=groups, class_names=class_names) for result, groups in gallery.pictures()
    ]
    page = render_page(
        "report.html.j2",
        title=title,
        metrics=metrics,
        metric_rows=metric_rows(metrics),
        boxed=boxed,
        comparisons=comparisons(metrics),
        verdict=verdict(metrics),
        threshold_chart=threshold_chart(_read_rows(folder / CURVES), metrics) if boxed else None,
        iou_chart=iou_chart(metrics) if boxed else None,
        outcomes=OUTCOMES,
        groups=GROUPS,
        classes=_read_rows(folder / PER_CLASS),
        items=items,
        options=dict(_flatten(options)),
        facts=facts,
    )
    (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")
    write_pictures(folder, items)


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _flatten(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested options as `group.option`, as on the command line."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

"""CSV tables of an evaluation: one row per class, and one row per threshold."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lctr_jax.localization.maps import NUM_CUTS
from lctr_jax.localization.summary import class_table, curves
from lctr_jax.localization.sums import Sums

PER_CLASS, CURVES = "per_class.csv", "curves.csv"


def write_tables(folder: Path, sums: Sums, class_names: Sequence[str]) -> None:
    """Write `per_class.csv` and, with true boxes, `curves.csv`; accuracies are in percent.

    Classes without true boxes have empty columns. `threshold` is the fraction of the map's maximum above
    which a pixel is foreground.
    """
    _write(folder / PER_CLASS, [{"name": class_names[row["label"]], **row} for row in class_table(sums)])
    if sums.counts.boxed:
        columns = {"threshold": np.arange(NUM_CUTS) / (NUM_CUTS - 1), **curves(sums)}
        below_one = (column[:-1].round(4).tolist() for column in columns.values())
        points = zip(*below_one, strict=True)
        _write(folder / CURVES, [dict(zip(columns, point, strict=True)) for point in points])


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0] if rows else [])
        writer.writeheader()
        writer.writerows(rows)

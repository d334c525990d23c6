"""What a finished evaluation got right, image by image, from its `predictions.jsonl`."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lctr_jax.json_objects import describe_value, parse_object, require_number
from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.outcomes import Outcomes

_LOCATED = ("correct", "wrong_class")  # error types of boxes with an IoU of at least 0.5


def read_outcomes(path: Path) -> Outcomes:
    """Read what an evaluation got right from its `predictions.jsonl`.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: a line is not an evaluation's, or an image occurs twice.
    """
    with path.open(encoding="utf-8") as file:
        rows = [_read_line(line, f"{path}, line {number}") for number, line in enumerate(file, 1)]
    rows.sort(key=lambda row: row.id)
    ids = [row.id for row in rows]
    if twice := [name for name, following in pairwise(ids) if name == following]:
        raise ValueError(f"{path}: {twice[0]!r} occurs twice, expected each image once")
    boxed = np.array([row.error is not None for row in rows], bool)
    top1 = np.array([row.top[:1] == [row.label] for row in rows], bool)
    top5 = np.array([row.label in row.top for row in rows], bool)
    values: dict[str, np.ndarray] = {"top1_cls": top1, "top5_cls": top5}
    if boxed.any():
        located = np.array([row.error in _LOCATED for row in rows], bool)
        values |= {
            name: np.where(boxed, value, np.nan)
            for name, value in {
                "gt_known_loc": located,
                "top1_loc": located & top1,
                "top5_loc": located & top5,
                "mean_iou": np.array([row.iou for row in rows], float),
            }.items()
        }
    return Outcomes(ids=ids, boxed=boxed, values={name: 100.0 * value for name, value in values.items()})


class _Line(NamedTuple):
    id: str
    label: int
    top: list[int]
    iou: float | None
    error: str | None


def _read_line(text: str, where: str) -> _Line:
    line = parse_object(text, where=where)
    top, iou, error = line.get("top5"), line.get("iou"), line.get("error")
    if not (isinstance(line.get("id"), str) and isinstance(line.get("label"), int) and isinstance(top, list)):
        raise ValueError(f"{where}: expected id, label and top5 of an evaluated image")
    if (iou is None) != (error is None) or error not in (None, *ERROR_TYPES):
        expected = ", ".join(ERROR_TYPES)
        raise ValueError(f"{where}: got error {describe_value(error)}, expected one of {expected}")
    known = None if iou is None else require_number(iou, where=f"{where}: iou")
    return _Line(line["id"], line["label"], top, known, error)

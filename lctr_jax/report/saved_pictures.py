"""`eval/pictures.json`: the random images of a report with map and boxes, to compare evaluations."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lctr_jax.json_objects import describe_value, read_object, require_number
from lctr_jax.report.gallery_items import GalleryItem
from lctr_jax.report.metric_tables import OUTCOMES
from lctr_jax.report.pictures import Box

PICTURES = "pictures.json"
SHARED_GROUP = "random"
"""The report's group whose images depend on their ids alone, so that it is the same for all evaluations."""

_DATA_URI = re.compile(r"data:image/webp;base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True, kw_only=True)
class SavedPicture:
    """An evaluated image: data URIs of the photograph and the localization map, boxes and outcome.

    `width` and `height` are those of the boxes' coordinate system, in pixels; `true_class`, `iou` and `error`
    are None if unknown.
    """

    photo: str
    localization_map: str
    width: int
    height: int
    predicted_xyxy: list[Box]
    true_xyxy: list[Box]
    top_class: str
    true_class: str | None
    iou: float | None
    error: str | None


def write_pictures(folder: Path, items: Iterable[GalleryItem]) -> None:
    """Write the items of `SHARED_GROUP` to the folder of an evaluation."""
    pictures = {item.name: vars(_saved(item)) for item in items if SHARED_GROUP in item.groups}
    (folder / PICTURES).write_text(json.dumps(pictures) + "\n")


def read_pictures(folder: Path) -> dict[str, SavedPicture] | None:
    """Read them, by id; None if the evaluation wrote none.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has other content.
    """
    path = folder / PICTURES
    if not path.is_file():
        return None
    return {name: _parse(entry, where=f"{path}: {name!r}") for name, entry in read_object(path).items()}


def _saved(item: GalleryItem) -> SavedPicture:
    picture = item.picture
    return SavedPicture(
        photo=picture.photo,
        localization_map=picture.maps.fused,
        width=picture.width,
        height=picture.height,
        predicted_xyxy=list(picture.predicted_xyxy),
        true_xyxy=list(picture.true_xyxy),
        top_class=item.top[0][0],
        true_class=item.true_class,
        iou=item.iou,
        error=item.error,
    )


def _parse(entry: Any, *, where: str) -> SavedPicture:
    """Check an entry, whose data URIs become part of a page."""
    if not isinstance(entry, dict) or entry.keys() != SavedPicture.__dataclass_fields__.keys():
        raise ValueError(f"{where}: got {describe_value(entry)}, expected a picture of an evaluation")
    for name in ("photo", "localization_map"):
        if not (isinstance(entry[name], str) and _DATA_URI.fullmatch(entry[name])):
            raise ValueError(f"{where}: {name}: expected a WebP image as data URI")
    for name in ("top_class", "true_class", "error"):
        if not isinstance(entry[name], str | None):
            raise ValueError(f"{where}: {name}: got {describe_value(entry[name])}, expected text")
    if entry["error"] not in (None, *OUTCOMES) or (entry["error"] is None) != (entry["iou"] is None):
        raise ValueError(f"{where}: error: got {describe_value(entry['error'])}, expected an error type")
    for name in ("width", "height", "iou"):
        if name != "iou" or entry["iou"] is not None:
            require_number(entry[name], where=f"{where}: {name}")
    boxes = {name: _parse_boxes(entry, name, where) for name in ("predicted_xyxy", "true_xyxy")}
    return SavedPicture(**{**entry, **boxes})


def _parse_boxes(entry: Mapping[str, Any], name: str, where: str) -> list[Box]:
    boxes = entry[name]
    if not isinstance(boxes, list) or not all(isinstance(box, list) and len(box) == 4 for box in boxes):
        raise ValueError(f"{where}: {name}: expected a list of boxes x0, y0, x1, y1")
    where = f"{where}: {name}"
    corners = [[require_number(value, where=where) for value in box] for box in boxes]
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in corners]

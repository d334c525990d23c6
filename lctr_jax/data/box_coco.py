"""Box lists in COCO's JSON: `images`, `annotations` with `bbox` [x, y, width, height], `categories`."""

import collections
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lctr_jax.data.box_entry import Entry, read_text, shorten, to_coordinates

EXPECTED = "COCO's JSON with `images` (id, file_name) and `annotations` (image_id, bbox)"


def read_coco(path: Path) -> Iterator[Entry]:
    """Read every image of a COCO file with all its boxes, including crowds.

    Raises:
        ValueError: it is not JSON, or not in COCO's format.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"box list: {path} is not JSON: {shorten(' '.join(str(error).split()))}") from error
    images, annotations = _list(content, "images", path), _list(content, "annotations", path)
    categories = {
        _scalar(category.get("id")): str(category.get("name"))
        for category in _list(content, "categories", path)
    }
    boxes: dict[Any, list[tuple[list[float], str | None]]] = collections.defaultdict(list)
    for number, annotation in enumerate(annotations):
        where = f"{path}: annotations[{number}]"
        box = annotation.get("bbox")
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"{where}: expected `bbox` with x, y, width, height, got {shorten(repr(box))}")
        x, y, width, height = to_coordinates([_number(side, where) for side in box], where)
        category = categories.get(_scalar(annotation.get("category_id")))
        boxes[_scalar(annotation.get("image_id"))].append(([x, y, x + width, y + height], category))
    seen = set()
    for number, image in enumerate(images):
        where, name = f"{path}: images[{number}]", image.get("file_name")
        identity = _scalar(image.get("id"))
        if not isinstance(name, str) or not name or identity is None or identity in seen:
            raise ValueError(f"{where}: expected `file_name` and a unique `id`, got {shorten(repr(image))}")
        seen.add(identity)
        found = boxes.pop(identity, [])
        kinds = tuple(category for _, category in found if category is not None)
        coordinates = [side for box, _ in found for side in box]
        yield Entry(
            name, coordinates, kinds[0] if kinds else None, where, kinds if len(kinds) == len(found) else ()
        )
    if boxes:
        raise ValueError(
            f"{path}: `annotations` name image_id {shorten(repr(next(iter(boxes))))}, not in `images`"
        )


def _list(content: Any, name: str, path: Path) -> list[dict[str, Any]]:
    listed = content.get(name, [] if name == "categories" else None) if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError(f"box list: {path}: expected {EXPECTED}")
    return listed


def _scalar(value: Any) -> int | str | None:
    """Return an id; None for anything that is not a number or string."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _number(value: Any, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: expected numbers in `bbox`, got {shorten(repr(value))}")
    return value

"""Tables of images with their classes and boxes: Hugging Face's metadata files, and other CSV files."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lctr_jax.data import box_lists
from lctr_jax.data.box_entry import Entry, shorten, to_coordinates
from lctr_jax.data.folder.label_columns import LabelColumns, choose_columns, text_of
from lctr_jax.data.folder.layout import canonical
from lctr_jax.data.row_files import FileRow, read_rows

_OBJECT_LABELS = ("category", "categories", "label", "labels", "class", "classes", "category_id")


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """A table of images.

    Attributes:
        path: the file.
        columns: what its columns mean.
        annotations: boxes of every listed image by its name in the table; without labels.
        labels: its class, as text; images without a class are not in it.
        splits: its split, if the table has a column of them.
    """

    path: Path
    columns: LabelColumns
    annotations: dict[str, box_lists.Annotation]
    labels: dict[str, str]
    splits: dict[str, str]

    @property
    def has_boxes(self) -> bool:
        """Whether an image has a box."""
        return any(len(annotation.boxes_xyxy) for annotation in self.annotations.values())


def read_label_table(path: Path) -> LabelTable | None:
    """Read a table; None if it has no column of images or none of classes.

    A table has one row per image, or one per box.

    Raises:
        ValueError: a row cannot be read, gives an image another class or split than an earlier one, or has
            objects of several classes and no class of the image; or it is unclear which column has the
            classes.
    """
    rows = read_rows(path)
    columns = choose_columns(rows, path)
    if columns is None:
        return None
    labels: dict[str, str] = {}
    splits: dict[str, str] = {}
    entries = []
    for row in rows:
        entry = _entry(row, columns)
        entries.append(entry)
        _set_once(splits, entry.key, canonical(text_of(row, columns.split)), "split", row)
        _set_once(labels, entry.key, _label(entry, text_of(row, columns.label), row), "class", row)
    return LabelTable(path, columns, box_lists.collect(entries), labels, splits)


def _set_once(values: dict[str, str], key: str, value: str, kind: str, row: FileRow) -> None:
    if value and values.setdefault(key, value) != value:
        raise ValueError(
            f"{row.where}: {shorten(key)!r} has the {kind} {value!r} here and {values[key]!r} before; "
            f"expected one {kind} per image"
        )


def _entry(row: FileRow, columns: LabelColumns) -> Entry:
    """Return the image and the boxes of a row."""
    key = text_of(row, columns.file)
    if not key:
        raise ValueError(f"{row.where}: {columns.file!r} is empty; expected the name of an image")
    cells = [text_of(row, name) for name in columns.box]
    if any(cells):
        coordinates = to_coordinates(cells, row.where)
        if columns.is_sides:
            x, y, width, height = coordinates
            coordinates = [x, y, x + width, y + height]
        return Entry(key, coordinates, None, row.where)
    objects = list(_objects(row.values.get(columns.objects or ""), f"{row.where}: {columns.objects!r}"))
    kinds = tuple(kind for _, kind in objects if kind)
    boxes = [side for box, _ in objects for side in box]
    return Entry(key, boxes, None, row.where, kinds if len(kinds) == len(objects) else ())


def _label(entry: Entry, label: str, row: FileRow) -> str:
    """Return the class of the image, or that of all its objects."""
    if label:
        return label
    if len(kinds := sorted(set(entry.box_labels))) > 1:
        raise ValueError(
            f"{row.where}: {shorten(entry.key)!r} has objects of several classes, {', '.join(kinds[:3])}; "
            "expected a column `label` with the class of the image"
        )
    return kinds[0] if kinds else ""


def _objects(value: Any, where: str) -> Iterator[tuple[list[float], str]]:
    """Yield the corners and the class of every object, in either of Hugging Face's forms.

    These are a mapping of lists, `{"bbox": [[x, y, width, height], ...], "category": [...]}`, or a list of
    mappings; in a CSV file the same as JSON.
    """
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where} is not JSON: {shorten(' '.join(str(error).split()))}") from error
    things = value if isinstance(value, list) else _transpose(value or {}, where)
    for thing in things:
        box = thing.get("bbox") if isinstance(thing, dict) else None
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(side) for side in box):
            raise ValueError(f"{where}: expected `bbox` with x, y, width, height, got {shorten(repr(thing))}")
        x, y, width, height = to_coordinates(box, where)
        kind = next((thing[name] for name in _OBJECT_LABELS if thing.get(name) is not None), "")
        yield [x, y, x + width, y + height], str(kind).strip()


def _transpose(lists: Any, where: str) -> Sequence[dict[str, Any]]:
    if not isinstance(lists, dict) or not all(isinstance(values, list) for values in lists.values()):
        raise ValueError(f"{where}: expected lists of `bbox` and of classes, got {shorten(repr(lists))}")
    count = len(lists.get("bbox", ()))
    if short := [name for name, values in lists.items() if len(values) != count]:
        raise ValueError(
            f"{where}: {count} `bbox` and {len(lists[short[0]])} {short[0]!r}; expected one for each"
        )
    return [{name: values[index] for name, values in lists.items()} for index in range(count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

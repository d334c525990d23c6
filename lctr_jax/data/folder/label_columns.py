"""The meaning of a table's columns: which one has the image, its class, its split and its boxes."""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lctr_jax.data import box_tables
from lctr_jax.data.box_entry import shorten
from lctr_jax.data.folder.layout import SPELLINGS, canonical
from lctr_jax.data.row_files import FileRow, columns_of

EXPECTED = "a column `file_name` and a column `label` of the images' classes"
_FILES = (
    *box_tables.IMAGE_COLUMNS,
    "file_path",
    "filepath",
    "image_file",
    "image_filename",
    "img_name",
    "id",
)
_LABELS = (*box_tables.LABEL_COLUMNS, "target", "species", "breed")
_SPLITS = ("split", "subset", "set", "partition", "phase")
_OBJECTS = "objects"
_OTHERS = ("", "index", "unnamed: 0", "width", "height", "area", "iscrowd", "depth", "url", "license")


@dataclasses.dataclass(frozen=True)
class LabelColumns:
    """Names of a table's columns, as spelled in the file.

    Attributes:
        file: path or name of the image.
        label: class of the image; None if only its objects have one.
        split: split of the image, if the table says so.
        box: four columns of one box per row, or none.
        is_sides: whether `box` is x, y, width, height instead of two corners.
        objects: boxes of all objects of the image, in Hugging Face's form, if there are any.
    """

    file: str
    label: str | None
    split: str | None
    box: tuple[str, ...]
    is_sides: bool
    objects: str | None

    def __str__(self) -> str:
        parts = [f"images from column {self.file!r}", f"classes from {self.label or self.objects!r}"]
        if self.split:
            parts.append(f"splits from {self.split!r}")
        if self.box:
            parts.append(f"boxes from {','.join(self.box)}")
        elif self.objects:
            parts.append(f"boxes from {self.objects!r} (x, y, width, height)")
        return ", ".join(parts)


def choose_columns(rows: Sequence[FileRow], path: Path) -> LabelColumns | None:
    """Choose a table's columns by their names; None if it has no images or no classes.

    Without a column whose name says that it has the classes, the only column of unknown meaning is taken.

    Raises:
        ValueError: two columns may have the classes and disagree, or the only one differs for most images.
    """
    spelled = {name.lower(): name for name in reversed(columns_of(rows))}
    file = next((spelled[name] for name in _FILES if name in spelled), None)
    if file is None:
        return None
    lowered = list(spelled)
    place = box_tables.find_box(lowered)
    box = tuple(spelled[lowered[index]] for index in place[0]) if place else ()
    objects, split = spelled.get(_OBJECTS), _split_column(rows, spelled)
    label = _label_column(rows, spelled, path, used={file, split, objects, *box})
    if label is None and objects is None:
        return None
    return LabelColumns(file, label, split, box, bool(place and place[1]), objects)


def text_of(row: FileRow, column: str | None) -> str:
    """Return a cell as text; empty if the row lacks it.

    Raises:
        ValueError: it is a list or an object.
    """
    value = row.values.get(column) if column is not None else None
    if isinstance(value, list | dict):
        raise ValueError(
            f"{row.where}: {column!r} is {shorten(json.dumps(value))}, expected one text or number"
        )
    return "" if value is None else str(value).strip()


def _split_column(rows: Sequence[FileRow], spelled: Mapping[str, str]) -> str | None:
    """Return the column that gives every row's split; a column of that name with other values is none."""
    for name in _SPLITS:
        if name in spelled and all(canonical(text_of(row, spelled[name])) in SPELLINGS for row in rows):
            return spelled[name]
    return None


def _label_column(
    rows: Sequence[FileRow], spelled: Mapping[str, str], path: Path, *, used: Collection[str | None]
) -> str | None:
    named = [spelled[name] for name in _LABELS if name in spelled and spelled[name] not in used]
    if named:
        return _agreed(rows, named, path)
    if _OBJECTS in spelled:
        return None
    others = [name for lowered, name in spelled.items() if lowered not in _OTHERS and name not in used]
    if len(others) != 1:
        return None
    values = {text_of(row, others[0]) for row in rows}
    if 2 * len(values) > len(rows):
        raise ValueError(
            f"{path}: its column {others[0]!r} has {len(values):,} different values in {len(rows):,} rows, "
            f"which are not classes; expected {EXPECTED}"
        )
    return others[0]


def _agreed(rows: Sequence[FileRow], named: Sequence[str], path: Path) -> str:
    """Return the one column of classes, or of several that mean the same the first with names.

    Raises:
        ValueError: they divide the images differently.
    """
    first = named[0]
    for other in named[1:]:
        pairs = {(text_of(row, first), text_of(row, other)) for row in rows}
        if len({one for one, _ in pairs}) < len(pairs) or len({two for _, two in pairs}) < len(pairs):
            raise ValueError(
                f"{path}: its columns {first!r} and {other!r} both may have the classes, and they differ; "
                "rename the one that is not meant"
            )
    return next((name for name in named if not all(text_of(row, name).isdecimal() for row in rows)), first)

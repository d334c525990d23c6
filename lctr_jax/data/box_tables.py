"""Box lists as tables: CSV files with a header."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from lctr_jax.data.box_entry import Entry, read_lines, read_text, to_coordinates
from lctr_jax.data.row_files import find_delimiter

IMAGE_COLUMNS = (
    "filename",
    "file_name",
    "file",
    "path",
    "image_path",
    "img_path",
    "image",
    "image_name",
    "img",
    "name",
)
IMAGE_COLUMNS += ("image_id", "imageid")
"""Names of a column of images, in order of preference."""

LABEL_COLUMNS = ("class", "class_name", "label", "label_name", "labelname", "category", "category_name")
"""Names of a column of classes, in order of preference."""

_CORNERS = (  # column names of a box, in order of preference
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
_SIDES = (
    ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
)
EXPECTED = (
    "a CSV header with an image column and xmin,ymin,xmax,ymax (or x0,y0,x1,y1; x,y,w,h; x,y,width,height)"
)


def is_table(first_line: str) -> bool:
    """Return whether a line is the header of a table of boxes."""
    try:
        return _columns(_header(first_line)) is not None
    except csv.Error:
        return False


def read_table(path: Path) -> Iterator[Entry]:
    """Read a table with one row per box; a row with four empty coordinates is an image without boxes.

    Raises:
        ValueError: a row cannot be read, or the coordinates are relative to the image's size.
    """
    text = read_text(path).lstrip()
    header = next(read_lines(path))[1]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(header))
    columns = _columns(_header(header))
    assert columns is not None  # checked by `is_table`
    name, box, label, is_sides = columns
    shares: bool | None = None
    try:
        next(reader)
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(name, *box):
                raise ValueError(f"{where}: expected {max(name, *box) + 1} columns or more, got {len(row)}")
            cells = [row[column].strip() for column in box]
            coordinates = to_coordinates(cells, where) if any(cells) else []
            if coordinates:
                shares = shares is not False and all(0 <= number <= 1 for number in coordinates)
            if is_sides and coordinates:
                x, y, width, height = coordinates
                coordinates = [x, y, x + width, y + height]
            kind = row[label].strip() if label is not None and label < len(row) else None
            yield Entry(row[name].strip(), coordinates, kind, where, (kind,) if kind and coordinates else ())
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: not a CSV file: {error}") from error
    if shares:
        raise ValueError(
            f"{path}: all coordinates are between 0 and 1, fractions of the image's size; expected pixels"
        )


def find_box(header: Sequence[str]) -> tuple[list[int], bool] | None:
    """Return the columns of a box, and whether they are x, y, width, height instead of corners."""
    for layouts, is_sides in ((_CORNERS, False), (_SIDES, True)):
        for layout in layouts:
            if all(title in header for title in layout):
                return [header.index(title) for title in layout], is_sides
    return None


def _header(line: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=find_delimiter(line)), [])
    return [cell.strip().lower() for cell in cells]


def _columns(header: Sequence[str]) -> tuple[int, list[int], int | None, bool] | None:
    """Return the columns of name, box and label, and whether the box is x y width height."""
    name = next((header.index(title) for title in IMAGE_COLUMNS if title in header), None)
    label = next((header.index(title) for title in LABEL_COLUMNS if title in header), None)
    box = find_box(header)
    return (name, box[0], label, box[1]) if name is not None and box else None

"""Box lists with one line per image or box: LCTR's, wsoleval's, Kaggle's and CUB's."""

import re
from collections.abc import Iterator
from pathlib import Path

from lctr_jax.data.box_entry import Entry, read_lines, shorten, to_coordinates

KAGGLE_HEADER = "ImageId,PredictionString"
_NUMBER = re.compile(r"-?[\d.]+")


def is_lctr(line: str) -> bool:
    """Return whether a line has the form `class/file label x0 y0 x1 y1 [more boxes]`."""
    return _split_lctr(line) is not None


def is_wsoleval(line: str) -> bool:
    """Return whether a line has the form `path,x0,y0,x1,y1`."""
    key, *coordinates = line.rsplit(",", 4)
    return (
        bool(key)
        and len(coordinates) == 4
        and all(_NUMBER.fullmatch(number.strip()) for number in coordinates)
    )


def names_masks(line: str) -> bool:
    """Return whether a line has the form `path,mask,ignore`, as wsoleval's list of OpenImages has."""
    _, *names = line.split(",")
    return len(names) == 2 and names[0].strip().lower().endswith(".png")


def read_lctr(path: Path) -> Iterator[Entry]:
    """Read LCTR's list."""
    for where, line in read_lines(path):
        if (parts := _split_lctr(line)) is None:
            raise ValueError(
                f"{where}: expected `class/file label x0 y0 x1 y1 [more boxes]`, got {shorten(line)!r}"
            )
        key, label, coordinates = parts
        yield Entry(key, coordinates, int(label), where)


def _split_lctr(line: str) -> tuple[str, str, list[str]] | None:
    """Return key, label and numbers; names may contain spaces, so the line is split from its end."""
    words = line.split()
    first = len(words)
    while first > 1 and _NUMBER.fullmatch(words[first - 1]):
        first -= 1
    for place in range(max(1, first), len(words) - 4):
        if (len(words) - place - 1) % 4 == 0 and words[place].isdecimal() and len(words[place]) < 10:
            return line.rsplit(None, len(words) - place)[0], words[place], words[place + 1 :]
    return None


def read_wsoleval(path: Path) -> Iterator[Entry]:
    """Read wsoleval's `localization.txt`: one line per box."""
    for where, line in read_lines(path):
        key, *coordinates = line.rsplit(",", 4)
        if names_masks(line):
            raise ValueError(
                f"{where}: names mask files, expected `path,x0,y0,x1,y1`; OpenImages has masks instead of "
                "boxes: python -m lctr_jax.prepare openimages"
            )
        if len(coordinates) != 4:
            raise ValueError(f"{where}: expected `path,x0,y0,x1,y1`, got {shorten(line)!r}")
        yield Entry(key, coordinates, None, where)


def read_kaggle(path: Path) -> Iterator[Entry]:
    """Read Kaggle's `LOC_val_solution.csv`."""
    for where, line in list(read_lines(path))[1:]:
        key, comma, prediction = line.partition(",")
        words = prediction.split()
        if not comma or not words or len(words) % 5:
            raise ValueError(f"{where}: expected `name,wnid x0 y0 x1 y1 [more]`, got {shorten(line)!r}")
        coordinates = [word for index, word in enumerate(words) if index % 5]
        yield Entry(key, coordinates, words[0], where, box_labels=tuple(words[::5]))


def read_cub(folder: Path) -> Iterator[Entry]:
    """Read CUB's `bounding_boxes.txt`, with names from `images.txt`.

    Raises:
        ValueError: a line cannot be read, or the two files do not list the same images.
    """
    names: dict[str, str] = {}
    for where, line in read_lines(folder / "images.txt"):
        number, _, name = line.partition(" ")
        if not name.strip():
            raise ValueError(f"{where}: expected `id class/file`, got {shorten(line)!r}")
        if number in names:
            raise ValueError(f"{where}: id {number} is listed twice")
        names[number] = name.strip()
    boxless = dict(names)
    for where, line in read_lines(folder / "bounding_boxes.txt"):
        number, *xywh = line.split()
        if len(xywh) != 4 or number not in names:
            raise ValueError(
                f"{where}: expected `id x y w h` with an id of images.txt, got {shorten(line)!r}"
            )
        if number not in boxless:
            raise ValueError(f"{where}: id {number} is listed twice")
        x, y, width, height = to_coordinates(xywh, where)
        yield Entry(boxless.pop(number), (x, y, x + width, y + height), None, where)
    if boxless:
        number, name = next(iter(boxless.items()))
        raise ValueError(
            f"{folder / 'bounding_boxes.txt'}: no box for {len(boxless)} of the {len(names)} images of "
            f"images.txt, such as {number} {shorten(name)}; is the file complete?"
        )

"""Shared parts of the box list readers: an entry of a list, and the lines of a text file."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath


@dataclasses.dataclass(frozen=True)
class Entry:
    """The content of one line, row, object or file of a list about an image.

    Attributes:
        key: the image's name as spelled in the list.
        numbers: x0 y0 x1 y1 of every box in pixels, concatenated, as spelled in the list.
        label: the image's class, an index or a name, if the list contains it.
        where: file and line, for messages.
        box_labels: class name of every box, if the list contains them.
        spellings: alternative names of the image, in the order to try them.
    """

    key: str
    coordinates: Sequence[str | int | float]
    label: int | str | None
    where: str
    box_labels: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file:line, text) of every line that is not empty.

    Raises:
        ValueError: it is not a text file.
    """
    for number, line in enumerate(re.split(r"\r\n|\n|\r", read_text(path)), start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def read_text(path: Path) -> str:
    """Return a file's text, with or without a byte order mark.

    Raises:
        ValueError: it is not a text file.
    """
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"box list: {path} is not a text file: {error}") from error


def check_inside(key: str, where: str) -> None:
    """Check that a name does not lead out of the image folder.

    Raises:
        ValueError: the name is absolute or contains "..".
    """
    path = PurePosixPath(key.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{where}: {shorten(key)!r} leaves the image folder; expected a relative path")


def to_coordinates(words: Sequence[str | int | float], where: str) -> list[float]:
    """Convert coordinates to numbers.

    Raises:
        ValueError: one is not a number.
    """
    try:
        return [float(word) for word in words]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: expected numbers, got {shorten(' '.join(map(str, words)))!r}") from error


def shorten(text: str, length: int = 200) -> str:
    """Truncate a text to at most `length` characters."""
    return text if len(text) <= length else f"{text[: length - 3]}..."

"""What the readers of box lists share: one entry of a list, and the lines of a text file."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one line, row, object or file of a list says of an image.

    Attributes:
        key: the image's name as the list spells it.
        numbers: x0 y0 x1 y1 of every box, one after the other, as the list has them.
        label: the image's class, an index or a name, where the list tells it.
        where: file and line, for messages.
        box_labels: the class's name of every box, where the list tells it.
        spellings: other names that may be meant, in the order to try them.
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
    """Refuse names that would lead out of the image folder.

    Raises:
        ValueError: the name is absolute or climbs.
    """
    path = PurePosixPath(key.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{where}: {shorten(key)!r} leaves the image folder; expected a relative path")


def to_coordinates(words: Sequence[str | int | float], where: str) -> list[float]:
    """Return coordinates as numbers.

    Raises:
        ValueError: one is none.
    """
    try:
        return [float(word) for word in words]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: expected numbers, got {shorten(' '.join(map(str, words)))!r}") from error


def shorten(text: str, length: int = 200) -> str:
    """Return the beginning of a text that may be of any length."""
    return text if len(text) <= length else f"{text[: length - 3]}..."

"""ILSVRC's box annotations: one XML file an image, in a folder or a tar archive, as published."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_DAMAGE = (
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
)  # of an archive, compressed or not


def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (where, content) of every XML file of a folder or a tar archive; of a file, the file.

    Raises:
        ValueError: the archive is damaged.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*.xml")):
            yield str(file), file.read_bytes()
    elif path.suffix == ".xml":
        yield str(path), path.read_bytes()
    else:
        yield from _read_archive(path)


def is_archive(path: Path) -> bool:
    """Tell a tar archive, damaged ones included as far as they can be told."""
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:
        return True


def _read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".xml") and (file := archive.extractfile(member)):
                    yield f"{path}: {member.name}", file.read()
    except _DAMAGE as error:
        raise ValueError(f"{path}: expected a sound tar archive: {error}") from error


def parse(content: bytes, *, where: str) -> tuple[str, str | None, list[str]]:
    """Return the image's bare name, the wnid of its first object (None without objects) and 4 numbers a box.

    Raises:
        ValueError: it is no ILSVRC annotation.
    """
    try:
        if (
            b"<!" in content
        ):  # a DTD could make a small file expand without end; the published files have none
            raise ValueError("it declares a document type")
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{where}: not an ILSVRC annotation: {error}") from error
    objects = root.findall("object")
    numbers = [thing.findtext(f"bndbox/{side}") or "" for thing in objects for side in _SIDES]
    if not (name := root.findtext("filename")) or "" in numbers:
        raise ValueError(
            f"{where}: not an ILSVRC annotation: expected <filename> and <bndbox> with four sides"
        )
    return name, objects[0].findtext("name") if objects else None, numbers

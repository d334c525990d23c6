"""Boxes in Pascal VOC's XML format, one file per image, in folders and archives (VOC, LabelImg, ILSVRC)."""

import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn
from xml.etree import ElementTree

from lctr_jax.data.box_entry import Entry, shorten, to_coordinates

OUR_DATABASE = "lctr_jax predictions"
"""`<database>` of the files that `lctr_jax.predict` writes."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LARGEST = 16 << 20  # bytes; annotations of one image are far smaller, even with long polygons
_DAMAGE = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError, OverflowError)


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses document type declarations, whose entities could make a small file expand without limit."""

    def doctype(self, name: str, public_id: str | None, system: str | None) -> NoReturn:
        raise ValueError("it declares a document type")


def read_xml(path: Path) -> Iterator[Entry]:
    """Read the XML files of a folder or a tar archive, or a single file.

    An image's name consists of the folder of its XML file and `<filename>`. If no image has that name, it is
    `<folder>` and `<filename>`, `<filename>` alone, or the XML file's own name.

    Corners are returned as listed, except that those written by `lctr_jax.predict`, which count pixels from 1
    and include both ends, are converted back to half-open corners from 0.

    Raises:
        ValueError: the archive is damaged, or a file is not an annotation.
    """
    for where, place, content in _read_files(path):
        yield parse_annotation(content, where=where, place=place)


def is_archive(path: Path) -> bool:
    """Return whether a file is a tar archive, including damaged ones that are recognizable."""
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:
        return True


def _read_files(path: Path) -> Iterator[tuple[str, PurePosixPath, bytes]]:
    """Yield the location, the path relative to the list's root, and the content of every XML file."""
    if path.is_dir():
        for parent, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if name[0] not in ".@")
            for file in sorted(file for file in files if _is_xml(file)):
                place = Path(parent, file)
                yield str(place), PurePosixPath(place.relative_to(path).as_posix()), _bounded(place)
    elif _is_xml(path.name):
        yield str(path), PurePosixPath(path.name), _bounded(path)
    else:
        yield from _read_archive(path)


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml") and not PurePosixPath(name).name.startswith(".")


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise ValueError(
            f"{path}: has {path.stat().st_size:,} bytes, too many for the annotation of one image"
        )
    return path.read_bytes()


def _read_archive(path: Path) -> Iterator[tuple[str, PurePosixPath, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (_is_xml(member.name) and member.isreg()):
                    continue
                if member.size > _LARGEST:
                    raise ValueError(f"{member.name} has {member.size:,} bytes, too many for an annotation")
                file = archive.extractfile(member)
                assert file is not None  # a regular file
                yield f"{path}: {shorten(member.name)}", PurePosixPath(member.name), file.read()
    except _DAMAGE as error:
        raise ValueError(f"{path}: expected an undamaged tar archive: {shorten(str(error))}") from error


def parse_annotation(content: bytes, *, where: str, place: PurePosixPath) -> Entry:
    """Read the annotation of one image.

    Args:
        content: the XML.
        where: the file, for messages.
        place: its path, relative to the folder of all annotations.

    Raises:
        ValueError: it is not an annotation.
    """
    try:
        root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: unknown encoding
        raise ValueError(f"{where}: not a Pascal VOC annotation: {shorten(str(error))}") from error
    objects = root.findall("object")
    coordinates: Sequence[str | float] = [
        (thing.findtext(f"bndbox/{side}") or "").strip() for thing in objects for side in _SIDES
    ]
    name = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    if root.tag != "annotation" or not name or "" in coordinates:
        raise ValueError(
            f"{where}: not a Pascal VOC annotation: expected <annotation> with <filename> and, for every "
            "object, <bndbox> with four sides"
        )
    if (root.findtext("source/database") or "") == OUR_DATABASE:
        # Pixels counted from 1, both ends included.
        corners = to_coordinates(coordinates, where)
        coordinates = [corner - (index % 4 < 2) for index, corner in enumerate(corners)]
    labels = tuple((thing.findtext("name") or "").strip() for thing in objects)
    folder = (root.findtext("folder") or "").strip()
    parents = place.parent.as_posix()
    inside = not place.is_absolute() and ".." not in place.parts and parents != "."
    spellings = [name, place.stem]
    if folder and folder not in (".", "..") and not set("/\\") & set(folder):
        spellings.insert(0, f"{folder}/{name}")
    return Entry(
        f"{parents}/{name}" if inside else name,
        coordinates,
        labels[0] if labels and labels[0] else None,
        where,
        box_labels=labels if all(labels) else (),
        spellings=tuple(spellings),
    )

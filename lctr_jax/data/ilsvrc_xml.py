"""ILSVRC's box annotations: one XML file an image, in a folder or a tar archive, as published."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (where, content) of every XML file of a folder or a tar archive; of a file, the file."""
    if path.is_dir():
        for file in sorted(path.rglob("*.xml")):
            yield str(file), file.read_bytes()
    elif path.suffix == ".xml":
        yield str(path), path.read_bytes()
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".xml") and (file := archive.extractfile(member)):
                    yield f"{path}: {member.name}", file.read()


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

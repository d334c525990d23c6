"""Pascal VOC's XML format, one file per image (Everingham et al., IJCV 2010)."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lctr_jax.annotations.annotated_image import AnnotatedBox, AnnotatedImage, with_stems

# Characters that XML 1.0 cannot represent; they occur in file names.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_voc(folder: Path, images: Iterable[AnnotatedImage]) -> None:
    """Write FOLDER/PATH/OF/IMAGE.xml for each image.

    VOC counts pixels from 1 and includes both ends: a box from x0 to x1 (half-open, from 0) has `xmin` x0 + 1
    and `xmax` x1, rounded to whole pixels.
    """
    for image, stem in with_stems(images):
        file = folder / f"{stem}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        tree = ET.ElementTree(_annotation(image))
        ET.indent(tree)
        tree.write(file, encoding="utf-8")


def _annotation(image: AnnotatedImage) -> ET.Element:
    path = PurePosixPath(image.file)
    root = ET.Element("annotation")
    _add(root, "folder", str(path.parent) if path.parent != PurePosixPath() else "")
    _add(root, "filename", path.name)
    _add(ET.SubElement(root, "source"), "database", "lctr_jax predictions")
    size = ET.SubElement(root, "size")
    for name, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _add(size, name, value)
    _add(root, "segmented", 0)
    for box in image.boxes:
        root.append(_object(box, image))
    return root


def _object(box: AnnotatedBox, image: AnnotatedImage) -> ET.Element:
    entry = ET.Element("object")
    _add(entry, "name", box.name)
    for name, value in (("pose", "Unspecified"), ("truncated", 0), ("difficult", 0)):
        _add(entry, name, value)
    _add(entry, "score", f"{box.score:.6f}")
    x0, y0, x1, y1 = (round(value) for value in box.box_xyxy)
    corners = {
        "xmin": min(x0 + 1, image.width),
        "ymin": min(y0 + 1, image.height),
        "xmax": max(x1, x0 + 1),
        "ymax": max(y1, y0 + 1),
    }
    bndbox = ET.SubElement(entry, "bndbox")
    for name, value in corners.items():
        _add(bndbox, name, value)
    return entry


def _add(parent: ET.Element, name: str, value: object) -> None:
    ET.SubElement(parent, name).text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))

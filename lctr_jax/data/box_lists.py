"""Read ground-truth boxes from the published list formats and those of labeling tools.

Boxes are `[x0, y0, x1, y1]` in pixels of the original image, exactly as listed; `x y w h`
becomes `x, y, x + w, y + h`. Whether the far corner is inclusive depends on the list: docs/datasets.md.

| format | recognized by | one image |
|---|---|---|
| LCTR | words | `class/file label x0 y0 x1 y1 [x0 y0 x1 y1 ...]`, spaces or tabs |
| wsoleval | commas, or `localization.txt` in a folder | `path,x0,y0,x1,y1`, one line per box |
| CUB | `images.txt` next to `bounding_boxes.txt` | `id x y w h` |
| Kaggle | its header `ImageId,PredictionString` | `name,wnid x0 y0 x1 y1 [wnid x0 y0 x1 y1 ...]` |
| CSV | a header with the columns of `box_tables` | one row per box |
| COCO | a JSON object | `images`, `annotations` with `bbox` |
| Pascal VOC | `.xml` files (LabelImg, ILSVRC) in a folder or a tar archive | one `<annotation>` |
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lctr_jax.data import box_coco, box_tables, box_text, box_xml
from lctr_jax.data.box_entry import Entry, check_inside, read_lines, shorten, to_coordinates

Boxes = Float32[np.ndarray, "num_boxes 4"]

EXPECTED = (
    "LCTR's `class/file label x0 y0 x1 y1`, wsoleval's `path,x0,y0,x1,y1`, Kaggle's "
    f"`{box_text.KAGGLE_HEADER}`, {box_tables.EXPECTED}, {box_coco.EXPECTED}, Pascal VOC's XML files (a "
    "folder or a tar archive), or CUB's images.txt and bounding_boxes.txt"
)


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The annotation of one image.

    Attributes:
        boxes_xyxy: its boxes in pixels of the original image.
        label: its class as an index or a name, such as a wnid; None if the list does not contain it.
        box_labels: class name of every box; empty if the list does not contain them.
        spellings: alternative names of the image, in the order to try them.
    """

    boxes_xyxy: Boxes
    label: int | str | None = None
    box_labels: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()


def read_boxes(path: str | Path) -> dict[str, Boxes]:
    """Return the boxes of every image in a list; arguments and errors are those of `read_annotations`."""
    return {key: annotation.boxes_xyxy for key, annotation in read_annotations(path).items()}


def read_annotations(path: str | Path) -> dict[str, Annotation]:
    """Read a list in any format of the table above, detected from its content.

    Args:
        path: the list; for CUB its folder or `bounding_boxes.txt`; for Pascal VOC the folder or archive; for
            wsoleval also the folder of a split, such as `metadata/CUB/test`.

    Returns:
        Annotations by the image's name as spelled in the list: a relative path, or a bare name without
            extension in formats that have no more (ILSVRC, Kaggle).

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a line cannot be read, a box has x1 < x0 or y1 < y0, a name leads out of the image folder,
            or the list is empty.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"box list: no such file or folder: {path}")
    if not (annotations := collect(_entries(path))):
        raise ValueError(f"box list: {path} contains no images")
    return annotations


def collect(entries: Iterable[Entry]) -> dict[str, Annotation]:
    """Join the entries of each image, for formats that have one per box.

    Raises:
        ValueError: a box has x1 < x0 or y1 < y0, a name leads out of the image folder, or an image has two
            entries in a format that has one per image.
    """
    annotations: dict[str, Annotation] = {}
    for entry in entries:
        check_inside(entry.key, entry.where)
        boxes, labels = check_boxes(entry), entry.box_labels
        if known := annotations.get(entry.key):  # some formats have one line per box
            if entry.spellings:
                raise ValueError(f"{entry.where}: {shorten(entry.key)!r} has more than one annotation")
            whole = len(known.box_labels) == len(known.boxes_xyxy) and len(labels) == len(boxes)
            boxes, labels = (
                np.concatenate([known.boxes_xyxy, boxes]),
                known.box_labels + labels if whole else (),
            )
        label = known.label if known else entry.label
        annotations[entry.key] = Annotation(boxes, label, labels, entry.spellings)
    return annotations


def read_class_labels(path: str | Path) -> dict[str, int]:
    """Read `path,label` lines of wsoleval's `class_labels.txt`.

    Raises:
        ValueError: a line does not have that form.
    """
    labels = {}
    for where, line in read_lines(Path(path)):
        key, comma, label = line.rpartition(",")
        if not comma or not label.strip().isdecimal() or len(label) > 9:
            raise ValueError(f"{where}: expected `path,label`, got {shorten(line)!r}")
        check_inside(key, where)
        labels[key] = int(label)
    return labels


def contradicts(annotation: Annotation, label: int, labels: Mapping[str, int]) -> bool:
    """Return whether a list gives an image another class than `label`.

    Class names that are not in `labels` are ignored.

    Args:
        annotation: the list's annotation of the image.
        label: the image's class.
        labels: labels by casefolded class name.
    """
    if isinstance(annotation.label, int):
        return annotation.label != label
    names = annotation.box_labels or (annotation.label or "",)
    named = {labels[name.casefold()] for name in names if name.casefold() in labels}
    return bool(named) and label not in named


def _entries(path: Path) -> Iterator[Entry]:
    """Detect the format from the content and parse it."""
    if path.is_dir():
        if (path / "bounding_boxes.txt").exists():
            return box_text.read_cub(path)
        if (path / "localization.txt").exists():
            return box_text.read_wsoleval(path / "localization.txt")
        if splits := sorted(inner.parent.name for inner in path.glob("*/localization.txt")):
            raise ValueError(
                f"box list: {path} contains the lists of {', '.join(splits)}; give one of them, such as "
                f"{path / splits[-1]}"
            )
        return box_xml.read_xml(path)
    if path.suffix.lower() == ".xml" or box_xml.is_archive(path):
        return box_xml.read_xml(path)
    if path.name == "bounding_boxes.txt" and (path.parent / "images.txt").exists():
        return box_text.read_cub(path.parent)
    if path.suffix.lower() == ".json":
        return box_coco.read_coco(path)
    where, first = next(read_lines(path), (str(path), ""))
    if not first:
        raise ValueError(f"box list: {path} contains no images; expected {EXPECTED}")
    if first.startswith("{"):
        return box_coco.read_coco(path)
    if first.startswith(box_text.KAGGLE_HEADER):
        return box_text.read_kaggle(path)
    if box_tables.is_table(first):
        return box_tables.read_table(path)
    if box_text.is_wsoleval(first) or box_text.names_masks(first):
        return box_text.read_wsoleval(path)
    if box_text.is_lctr(first):
        return box_text.read_lctr(path)
    raise ValueError(f"{where}: expected a box list ({EXPECTED}), got {shorten(first)!r}")


def check_boxes(entry: Entry) -> Boxes:
    """Return the boxes of an entry.

    Raises:
        ValueError: a coordinate is not a finite number, or a box has x1 < x0 or y1 < y0.
    """
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused below
        boxes = np.array(to_coordinates(entry.coordinates, entry.where), np.float32).reshape(-1, 4)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError(f"{entry.where}: expected x0 <= x1 and y0 <= y1, got {shorten(str(boxes.tolist()))}")
    return boxes

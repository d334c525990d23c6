"""Read ground-truth boxes from every list format that the field publishes.

Boxes are `[x0, y0, x1, y1]` in pixels of the original image, the numbers exactly as the list gives them;
CUB's `x y w h` becomes `x, y, x + w, y + h`. What a list means by its far corner differs: docs/datasets.md.

| format | recognized by | one image |
|---|---|---|
| LCTR | words | `class/file label x0 y0 x1 y1 [x0 y0 x1 y1 ...]`, spaces or tabs |
| wsoleval | commas | `path,x0,y0,x1,y1`, one line a box |
| CUB | `images.txt` beside `bounding_boxes.txt` | `id x y w h` |
| Kaggle | its header `ImageId,PredictionString` | `name,wnid x0 y0 x1 y1 [wnid x0 y0 x1 y1 ...]` |
| ILSVRC | `.xml` files in a folder or a tar archive | one `<annotation>` |
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from lctr_jax.data import ilsvrc_xml

Boxes = Float32[np.ndarray, "num_boxes 4"]

_LCTR_LINE = re.compile(r"(?P<key>.+?)\s+(?P<label>\d+)(?P<boxes>(?:(?:\s+-?[\d.]+){4})+)")
_KAGGLE_HEADER = "ImageId,PredictionString"


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What a list says of one image: its boxes, and its class as an index, a wnid, or not at all (None)."""

    boxes_xyxy: Boxes
    label: int | str | None = None


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One line of a list."""

    key: str
    numbers: list[str]  # four to a box, as text
    label: int | str | None
    where: str  # file:line


def read_boxes(path: str | Path) -> dict[str, Boxes]:
    """Return the boxes of every image that a list names; for arguments and errors see `read_annotations`."""
    return {key: annotation.boxes_xyxy for key, annotation in read_annotations(path).items()}


def read_annotations(path: str | Path) -> dict[str, Annotation]:
    """Read a list in any format of the table above, found out by its content.

    Args:
        path: the list; for CUB the folder or its `bounding_boxes.txt`; for ILSVRC the folder or archive.

    Returns:
        By the image's name as the list spells it: a relative path, or a bare name without extension where the
        format has no more (ILSVRC, Kaggle).

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a line cannot be read, a box is inside out, a name leaves the image folder, or the list is
            empty.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"box list: no such file or folder: {path}")
    annotations: dict[str, Annotation] = {}
    for entry in _entries(path):
        _check_inside(entry.key, entry.where)
        boxes = _boxes(entry)
        if known := annotations.get(entry.key):  # some formats give a line to a box
            boxes = np.concatenate([known.boxes_xyxy, boxes])
        annotations[entry.key] = Annotation(boxes, known.label if known else entry.label)
    if not annotations:
        raise ValueError(f"box list: {path} names no image")
    return annotations


def read_class_labels(path: str | Path) -> dict[str, int]:
    """Read wsoleval's `class_labels.txt`: `path,label` lines."""
    labels = {}
    for where, line in _lines(Path(path)):
        key, comma, label = line.rpartition(",")
        if not comma or not label.strip().isdecimal():
            raise ValueError(f"{where}: expected `path,label`, got {line!r}")
        _check_inside(key, where)
        labels[key] = int(label)
    return labels


def find(image_id: str, annotations: Mapping[str, Annotation], *, prefix: str = "") -> Annotation | None:
    """Look up `class/file.ext` under the spellings of lists: as it is, `prefix/class/file.ext`, or `file`."""
    for spelling in (image_id, f"{prefix}/{image_id}", PurePosixPath(image_id).stem):
        if spelling in annotations:
            return annotations[spelling]
    return None


def contradicts(annotation: Annotation, class_name: str, labels: Mapping[str, int]) -> bool:
    """Tell whether a list gives an image another class than `class_name`; an unknown name does not."""
    told = annotation.label
    if isinstance(told, str):
        return told in labels and told != class_name
    return told is not None and told != labels[class_name]


def _entries(path: Path) -> Iterator[_Entry]:
    """Tell the format by content and parse it."""
    if path.is_dir():
        if (path / "bounding_boxes.txt").exists():
            return _cub(path)
        if (path / "localization.txt").exists():
            return _wsoleval(path / "localization.txt")
        return _ilsvrc(path)
    if path.suffix == ".xml" or ilsvrc_xml.is_archive(path):
        return _ilsvrc(path)
    if path.name == "bounding_boxes.txt" and (path.parent / "images.txt").exists():
        return _cub(path.parent)
    first = next(_lines(path), ("", ""))[1]
    if first.startswith(_KAGGLE_HEADER):
        return _kaggle(path)
    return _wsoleval(path) if re.fullmatch(r".+(,\s*-?[\d.]+){4}", first) else _lctr(path)


def _lctr(path: Path) -> Iterator[_Entry]:
    for where, line in _lines(path):
        if not (match := _LCTR_LINE.fullmatch(line)):
            raise ValueError(f"{where}: expected `class/file label x0 y0 x1 y1 [more boxes]`, got {line!r}")
        yield _Entry(match["key"], match["boxes"].split(), int(match["label"]), where)


def _wsoleval(path: Path) -> Iterator[_Entry]:
    for where, line in _lines(path):
        key, *numbers = line.rsplit(",", 4)
        if len(numbers) != 4:
            raise ValueError(f"{where}: expected `path,x0,y0,x1,y1`, got {line!r}")
        yield _Entry(key, numbers, None, where)


def _kaggle(path: Path) -> Iterator[_Entry]:
    for where, line in list(_lines(path))[1:]:
        key, comma, prediction = line.partition(",")
        words = prediction.split()
        if not comma or not words or len(words) % 5:
            raise ValueError(f"{where}: expected `name,wnid x0 y0 x1 y1 [more]`, got {line!r}")
        numbers = [word for index, word in enumerate(words) if index % 5]
        yield _Entry(key, numbers, words[0], where)


def _cub(folder: Path) -> Iterator[_Entry]:
    names = {}
    for where, line in _lines(folder / "images.txt"):
        number, _, name = line.partition(" ")
        if not name:
            raise ValueError(f"{where}: expected `id class/file`, got {line!r}")
        names[number] = name
    for where, line in _lines(folder / "bounding_boxes.txt"):
        number, *xywh = line.split()
        if len(xywh) != 4 or number not in names:
            raise ValueError(f"{where}: expected `id x y w h` with an id of images.txt, got {line!r}")
        x, y, width, height = _numbers(xywh, where)
        yield _Entry(names[number], [str(v) for v in (x, y, x + width, y + height)], None, where)


def _ilsvrc(path: Path) -> Iterator[_Entry]:
    for where, content in ilsvrc_xml.read_files(path):
        key, wnid, numbers = ilsvrc_xml.parse(content, where=where)
        yield _Entry(key, numbers, wnid, where)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file:line, text) of every line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"box list: {path} is not a text file: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def _numbers(words: list[str], where: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"{where}: expected numbers, got {' '.join(words)!r}") from error


def _boxes(entry: _Entry) -> Boxes:
    boxes = np.array(_numbers(entry.numbers, entry.where), np.float32).reshape(-1, 4)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError(f"{entry.where}: expected x0 <= x1 and y0 <= y1, got {boxes.tolist()}")
    return boxes


def _check_inside(key: str, where: str) -> None:
    """Refuse names that would lead out of the image folder."""
    path = PurePosixPath(key.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{where}: {key!r} leaves the image folder; expected a relative path")

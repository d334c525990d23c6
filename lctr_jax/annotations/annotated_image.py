"""An image and its predicted boxes, the input of every annotation format."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lctr_jax.json_objects import parse_object

BoxXYXY = tuple[float, float, float, float]
Polygon = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AnnotatedBox:
    """One predicted box.

    Attributes:
        label: index of the class, from 0.
        name: name of the class.
        score: confidence in [0, 1].
        box_xyxy: corners in pixels of the image as stored, half-open.
        polygons: outlines of the region that the box encloses, each x0, y0, x1, y1, ... in pixels.
    """

    label: int
    name: str
    score: float
    box_xyxy: BoxXYXY
    polygons: tuple[Polygon, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnnotatedImage:
    """An image file, its size, and its boxes.

    Attributes:
        file: path relative to the searched folder, with forward slashes.
        source: path of the file.
        width: in pixels.
        height: in pixels.
        boxes: predicted boxes.
    """

    file: str
    source: Path
    width: int
    height: int
    boxes: tuple[AnnotatedBox, ...]


def read_annotated_images(predictions: Path) -> Iterator[AnnotatedImage]:
    """Read `predictions.jsonl` line by line, in order.

    Raises:
        ValueError: a line was not written by `lctr_jax.predict`; the message names it.
    """
    with predictions.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _parse(parse_object(line, where="the line"))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{predictions}:{number}: expected a line of lctr_jax.predict, got {line[:80]!r} "
                    f"({error!r})"
                ) from error


def with_stems(images: Iterable[AnnotatedImage]) -> Iterator[tuple[AnnotatedImage, PurePosixPath]]:
    """Pair each image with a unique path without suffix, for formats with one file per image.

    Images whose paths differ only in suffix or case, such as `a.jpg` and `A.png`, are numbered from the
    second on.
    """
    taken: set[str] = set()
    for image in images:
        stem = plain = PurePosixPath(image.file).with_suffix("")
        for number in itertools.count(2):
            if str(stem).casefold() not in taken:
                break
            stem = plain.with_name(f"{plain.name}_{number}")
        taken.add(str(stem).casefold())
        yield image, stem


def _parse(line: Mapping[str, Any]) -> AnnotatedImage:
    boxes = tuple(
        AnnotatedBox(
            label=int(box["label"]),
            name=str(box["name"]),
            score=float(box["score"]),
            box_xyxy=_corners(box["box"]),
            polygons=tuple(tuple(map(float, polygon)) for polygon in box.get("polygons", ())),
        )
        for box in line["boxes"]
        if box["found"]
    )
    return AnnotatedImage(
        file=str(line["file"]),
        source=Path(line["id"]),
        width=int(line["width"]),
        height=int(line["height"]),
        boxes=boxes,
    )


def _corners(values: Iterable[Any]) -> BoxXYXY:
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1

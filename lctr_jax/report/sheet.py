"""A contact sheet: images, each plain and under its map, with predicted and true boxes, in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from lctr_jax.evaluation.stream import Result
from lctr_jax.report.overlay import PREDICTED, TRUE, draw_boxes, draw_map

_CELL = 160  # side of one picture, pixels
_TEXT = 20  # height of the caption line
_GAP = 8
_INK, _PAPER = (32, 32, 32), (250, 250, 250)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One entry of a sheet; boxes in the image's pixels."""

    image: UInt8[np.ndarray, "size size 3"]
    score_map: Float[np.ndarray, "grid_h grid_w"]
    predicted_xyxy: Float[np.ndarray, "4"]
    true_xyxy: Float[np.ndarray, "boxes 4"]
    caption: str


class Sheet:
    """Collects `count` results spread evenly over a split of `total` images while they stream by."""

    def __init__(self, total: int, *, count: int, class_names: Sequence[str]):
        positions = np.linspace(0, total - 1, min(count, total)).round()
        self._wanted = frozenset(int(position) for position in positions)
        self._class_names = class_names
        self._seen = 0
        self._pictures: list[Picture] = []

    def add(self, result: Result) -> None:
        """Look at the next result, and keep it if its turn has come."""
        if self._seen in self._wanted:
            self._pictures.append(_picture(result, self._class_names))
        self._seen += 1

    def write(self, path: Path) -> None:
        """Write what was collected, if anything was."""
        if self._pictures:
            write_sheet(path, self._pictures)


def _picture(result: Result, class_names: Sequence[str]) -> Picture:
    measurement = result.measurement
    predicted, true = (class_names[index] for index in (measurement.top5[0], measurement.label))
    verdict = predicted if measurement.top1_correct else f"{predicted} (is {true})"
    scores = measurement.scores
    return Picture(
        image=result.image,
        score_map=result.sample.predicted_map,
        predicted_xyxy=measurement.box_xyxy,
        true_xyxy=result.sample.boxes_xyxy,
        caption=verdict if scores is None else f"{verdict}   IoU {scores.iou:.2f}",
    )


def write_sheet(path: Path, pictures: Sequence[Picture], *, columns: int = 4) -> None:
    """Write the pictures to a PNG, each as a pair: the image with its boxes, and the same under its map."""
    entries = [_entry(picture) for picture in pictures]
    height, width = entries[0].shape[:2]
    rows = -(-len(entries) // columns)
    sheet = np.full(
        (_TEXT + _GAP + rows * (height + _GAP), _GAP + columns * (width + _GAP), 3), _PAPER, np.uint8
    )
    for index, entry in enumerate(entries):
        top = _TEXT + _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = entry
    canvas = Image.fromarray(sheet)
    legend = ImageDraw.Draw(canvas)
    for left, color, text in ((_GAP, TRUE, "true box"), (_GAP + 110, PREDICTED, "predicted box")):
        legend.rectangle((left, 6, left + 14, 20), fill=color, outline=_INK)
        legend.text((left + 20, 5), text, fill=_INK, font=ImageFont.load_default(12))
    canvas.save(path)


def _entry(picture: Picture) -> np.ndarray:
    scale = _CELL / picture.image.shape[0]
    image = cv2.resize(picture.image, (_CELL, _CELL), interpolation=cv2.INTER_LINEAR)
    views = [
        draw_boxes(
            draw_boxes(view, picture.true_xyxy * scale, TRUE), picture.predicted_xyxy[None] * scale, PREDICTED
        )
        for view in (image, draw_map(image, picture.score_map))
    ]
    canvas = Image.fromarray(np.full((_TEXT + _CELL, 2 * _CELL, 3), _PAPER, np.uint8))
    ImageDraw.Draw(canvas).text((2, 2), picture.caption, fill=_INK, font=ImageFont.load_default(12))
    entry = np.array(canvas)
    entry[_TEXT:] = np.concatenate(views, axis=1)
    return entry

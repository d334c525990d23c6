"""A contact sheet: images with and without their maps, with boxes, in one picture."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.measurement import measure
from lctr_jax.localization.settings import Settings
from lctr_jax.report.gallery_items import class_name
from lctr_jax.report.overlay import PREDICTED, TRUE, draw_boxes, draw_map
from lctr_jax.report.selection import spread_evenly

_CELL = 160  # side of one image in pixels
_TEXT = 20  # height of the caption line
_GAP = 8
_INK, _PAPER = (32, 32, 32), (250, 250, 250)


class Sheet:
    """Collects `count` results spread evenly over a split of `total` images."""

    def __init__(self, total: int, *, count: int, class_names: Sequence[str]):
        self._wanted = frozenset(spread_evenly(total, most=count))
        self._class_names = class_names
        self._seen = 0
        self._results: list[Result] = []

    def add(self, result: Result) -> None:
        """Consider the next result, and keep it if it is one of those to show."""
        if self._seen in self._wanted:
            self._results.append(result.detach())
        self._seen += 1

    def draw(self, *, columns: int = 4, settings: Settings | None = None) -> Image.Image | None:
        """Draw the collected results in rows, with boxes by `settings` if given; None if there are none."""
        collected = self._results
        if settings:
            collected = [
                replace(result, measurement=measure(result.sample, settings)) for result in collected
            ]
        entries = [_draw(result, _caption(result, self._class_names)) for result in collected]
        return _arrange(entries, columns=columns) if entries else None

    def write(self, path: Path) -> None:
        """Write the sheet, unless it is empty."""
        if picture := self.draw():
            picture.save(path)


def _caption(result: Result, class_names: Sequence[str]) -> str:
    sample = result.sample
    predicted, true = (class_name(class_names, label) for label in (int(sample.top5[0]), sample.label))
    verdict = predicted if predicted == true else f"{predicted} (is {true})"
    return verdict if result.iou is None else f"{verdict}   IoU {result.iou:.2f}"


def _arrange(entries: Sequence[UInt8[np.ndarray, "height width 3"]], *, columns: int) -> Image.Image:
    """Arrange entries of equal size in rows below a legend."""
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
    return canvas


def _draw(result: Result, caption: str) -> UInt8[np.ndarray, "height width 3"]:
    """Draw an image with its boxes, next to the same with its map."""
    scale = _CELL / result.image.shape[0]
    true_xyxy, box_xyxy = result.sample.boxes_xyxy * scale, result.measurement.box_xyxy[None] * scale
    image = cv2.resize(result.image, (_CELL, _CELL), interpolation=cv2.INTER_LINEAR)
    panels = [
        draw_boxes(draw_boxes(panel, true_xyxy, TRUE), box_xyxy, PREDICTED)
        for panel in (image, draw_map(image, result.localization_map))
    ]
    canvas = Image.fromarray(np.full((_TEXT + _CELL, 2 * _CELL, 3), _PAPER, np.uint8))
    ImageDraw.Draw(canvas).text((2, 2), caption, fill=_INK, font=ImageFont.load_default(12))
    entry = np.array(canvas)
    entry[_TEXT:] = np.concatenate(panels, axis=1)
    return entry

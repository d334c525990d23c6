"""A contact sheet: images, each plain and under its map, with their boxes, in one picture."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.settings import Settings
from lctr_jax.report.gallery_items import class_name
from lctr_jax.report.gallery_results import Kept, keep, rebox
from lctr_jax.report.overlay import PREDICTED, TRUE, draw_boxes, draw_map

_CELL = 160  # side of one picture, pixels
_TEXT = 20  # height of the caption line
_GAP = 8
_INK, _PAPER = (32, 32, 32), (250, 250, 250)


class Sheet:
    """Collects `count` results spread evenly over a split of `total` images while they stream by."""

    def __init__(self, total: int, *, count: int, class_names: Sequence[str]):
        positions = np.linspace(0, total - 1, min(count, total)).round()
        self._wanted = frozenset(int(position) for position in positions)
        self._class_names = class_names
        self._seen = 0
        self._kept: list[Kept] = []

    def add(self, result: Result) -> None:
        """Look at the next result, and keep it if its turn has come."""
        if self._seen in self._wanted:
            self._kept.append(keep(result))
        self._seen += 1

    def draw(self, *, columns: int = 4, settings: Settings | None = None) -> Image.Image | None:
        """What was collected, in rows, boxed anew where `settings` are given; None if nothing was."""
        collected = [rebox(kept, settings) for kept in self._kept] if settings else self._kept
        entries = [_draw(kept, _caption(kept, self._class_names)) for kept in collected]
        return _arrange(entries, columns=columns) if entries else None

    def write(self, path: Path) -> None:
        """Write what was collected, if anything was."""
        if picture := self.draw():
            picture.save(path)


def _caption(kept: Kept, class_names: Sequence[str]) -> str:
    predicted, true = (class_name(class_names, label) for label in (kept.top5[0], kept.label))
    verdict = predicted if predicted == true else f"{predicted} (is {true})"
    return verdict if kept.iou is None else f"{verdict}   IoU {kept.iou:.2f}"


def _arrange(entries: Sequence[np.ndarray], *, columns: int) -> Image.Image:
    """Entries of one size in rows, under a legend."""
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


def _draw(kept: Kept, caption: str) -> np.ndarray:
    """An image with its boxes, and the same under its map."""
    scale = _CELL / kept.image.shape[0]
    image = cv2.resize(kept.image, (_CELL, _CELL), interpolation=cv2.INTER_LINEAR)
    views = [
        draw_boxes(draw_boxes(view, kept.true_xyxy * scale, TRUE), kept.box_xyxy[None] * scale, PREDICTED)
        for view in (image, draw_map(image, kept.relation_map * kept.class_map))
    ]
    canvas = Image.fromarray(np.full((_TEXT + _CELL, 2 * _CELL, 3), _PAPER, np.uint8))
    ImageDraw.Draw(canvas).text((2, 2), caption, fill=_INK, font=ImageFont.load_default(12))
    entry = np.array(canvas)
    entry[_TEXT:] = np.concatenate(views, axis=1)
    return entry

"""Predictions on disk: one line and one overlay per image, and a page of all images."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lctr_jax.inference.result import Prediction
from lctr_jax.report.gallery_items import GalleryItem
from lctr_jax.report.overlay import PREDICTED, draw_boxes, draw_map
from lctr_jax.report.page import render_page
from lctr_jax.report.pictures import Picture, as_boxes, encode_maps, encode_photo
from lctr_jax.report.prediction_journal import Journal

OVERLAY_SIDE = 1024
"""Longest side of an overlay, in pixels."""

MAX_ITEMS = 300
"""Largest number of images on a page; if there are more, a subset is spread evenly."""

_LONGEST_STEM = 230  # bytes
_CAPTION = 28  # height of the text line below an overlay
_INK, _PAPER = (32, 32, 32), (250, 250, 250)


class PredictionFolder:
    """Writes predictions as they arrive; memory is bounded.

    If the folder contains an unfinished run with the same `settings`, its results are kept.

    Args:
        folder: where to write.
        total: largest number of images to expect.
        keep: files that must not be overwritten.
        facts: additional keys of every line.
        settings: what must be equal to resume an unfinished run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        total: int,
        keep: Sequence[Path],
        facts: Mapping[str, Any],
        settings: Mapping[str, Any],
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._facts = folder, facts
        self._journal = Journal(folder, settings)
        self._lines = (folder / "predictions.jsonl").open("a", encoding="utf-8")
        self._taken = {path.name.casefold() for path in keep if path.parent.resolve() == folder.resolve()}
        self._taken |= {overlay.casefold() for overlay in self._journal.done.values()}
        on_page = np.linspace(0, total - 1, min(total, MAX_ITEMS)).round()
        self._on_page = frozenset(on_page.astype(int).tolist())
        self.num_done = len(self._journal.done)
        self._count = self.num_done

    def skip_done(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Yield the paths that the unfinished run has not written."""
        return (path for path in paths if str(path) not in self._journal.done)

    def add(self, path: Path, prediction: Prediction, *, file: str) -> None:
        """Write an image's line and overlay, and possibly add it to the page; `file` is its relative path."""
        overlay = self._free_name(path.stem)
        draw_prediction(prediction).save(self._folder / overlay, quality=90)
        line = {
            "id": str(path),
            "file": file,
            **prediction_line(prediction),
            **self._facts,
            "overlay": overlay,
        }
        if self._count in self._on_page:
            self._journal.add_item(prediction_item(str(path), prediction))
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()  # so that finished images are not repeated after an interruption
        self._count += 1

    def write_page(self, *, unreadable: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """Write the page of all added images; `unreadable` gives the reason for each skipped file."""
        page = render_page(
            "predictions.html.j2",
            title="Predictions",
            items=self._journal.items,
            num_images=self._count,
            unreadable=unreadable,
            facts=facts,
        )
        (self._folder / "index.html").write_text(page, encoding="utf-8", errors="replace")
        self._journal.finish()

    def __enter__(self) -> "PredictionFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lines.close()

    def _free_name(self, stem: str) -> str:
        """Return `STEM_boxes.jpg`, numbered if the name is taken, ignoring case."""
        stem = os.fsdecode(os.fsencode(stem)[:_LONGEST_STEM])  # a file name has at most 255 bytes
        number, name = 1, f"{stem}_boxes.jpg"
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}_boxes_{number}.jpg"
        self._taken.add(name.casefold())
        return name


def prediction_line(prediction: Prediction) -> dict[str, Any]:
    """Return the keys of a line that describe the prediction; `box` is the first of `boxes`."""
    height, width = prediction.image.shape[:2]
    boxes = [
        {
            "label": boxed.ranked.label,
            "name": boxed.name,
            "probability": round(boxed.ranked.probability, 6),
            "box": np.round(boxed.box_xyxy, 2).tolist(),
            "found": boxed.found,
            "score": round(boxed.score, 6),
            "polygons": [np.round(boxed.outline, 1).ravel().tolist()] if boxed.found else [],
        }
        for boxed in prediction.boxed
    ]
    return {
        "width": width,
        "height": height,
        "top5": [ranked.label for ranked in prediction.top],
        "names": [ranked.name for ranked in prediction.top],
        "probability": [round(ranked.probability, 6) for ranked in prediction.top],
        "box": boxes[0]["box"],
        "boxes": boxes,
    }


def draw_prediction(prediction: Prediction) -> Image.Image:
    """Draw the image with its map and boxes, and the predicted class below; at most `OVERLAY_SIDE` pixels.

    Boxes of other classes are labeled with their names.
    """
    photo = Image.fromarray(prediction.image)
    photo.thumbnail((OVERLAY_SIDE, OVERLAY_SIDE))
    scale = np.array(photo.size * 2) / np.array(prediction.image.shape[1::-1] * 2)
    x0, y0, x1, y1 = np.round(prediction.region_xyxy * scale).astype(int).tolist()
    drawn = np.array(photo)
    drawn[y0:y1, x0:x1] = draw_map(drawn[y0:y1, x0:x1], prediction.localization_map)
    thickness = max(2, max(photo.size) // 250)
    drawn = draw_boxes(drawn, prediction.found_xyxy * scale, PREDICTED, thickness=thickness)
    framed = cv2.copyMakeBorder(drawn, 0, _CAPTION, 0, 0, cv2.BORDER_CONSTANT, value=_PAPER)
    picture = Image.fromarray(framed)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    best = prediction.top[0]
    pen.text((6, photo.height + 5), f"{best.name} {100 * best.probability:.0f}%", fill=_INK, font=font)
    if [boxed.ranked for boxed in prediction.boxed] != [best]:
        for boxed in prediction.found:
            x0, y0 = (boxed.box_xyxy * scale)[:2]
            corner = (x0 + thickness + 2, y0 + thickness)
            pen.text(corner, boxed.name, fill=PREDICTED, font=font, stroke_width=2, stroke_fill=_INK)
    return picture


def prediction_item(name: str, prediction: Prediction) -> GalleryItem:
    """Build the card of an image without ground truth."""
    height, width = prediction.image.shape[:2]
    return GalleryItem(
        name=name,
        picture=Picture(
            photo=encode_photo(prediction.image),
            width=width,
            height=height,
            region_xyxy=as_boxes(prediction.region_xyxy[None])[0],
            maps=encode_maps(prediction.relation_map, prediction.class_map, prediction.localization_map),
            predicted_xyxy=as_boxes(prediction.found_xyxy),
        ),
        boxed_classes=[boxed.name for boxed in prediction.found],
        missed_classes=[boxed.name for boxed in prediction.boxed if not boxed.found],
        top=[(ranked.name, ranked.probability) for ranked in prediction.top],
    )

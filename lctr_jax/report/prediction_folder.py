"""Predictions on disk: one line and one overlay per image, and a page of all images."""

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lctr_jax.inference.prediction_inputs import Input
from lctr_jax.inference.result import Prediction
from lctr_jax.report.free_names import FreeNames
from lctr_jax.report.gallery_items import GalleryItem
from lctr_jax.report.overlay import BOX_COLORS, draw_boxes, draw_map, reduce_to
from lctr_jax.report.page import render_page
from lctr_jax.report.pictures import Picture, as_boxes, encode_maps, encode_photo
from lctr_jax.report.prediction_journal import Journal
from lctr_jax.report.redraw import BoxRules, class_colors, class_key, redraw_data
from lctr_jax.report.saved_parts import save_parts
from lctr_jax.report.selection import spread_evenly

OVERLAYS = "overlays"
"""Folder of the overlay pictures."""

OVERLAY_SIDE = 1024
"""Longest side of an overlay, in pixels."""

MAX_ITEMS = 300
"""Largest number of images on a page; if there are more, a subset is spread evenly."""

_CAPTION = 28  # height of the text line below an overlay
_INK, _PAPER = (32, 32, 32), (250, 250, 250)


class PredictionFolder:
    """Writes predictions as they arrive; pictures are written in threads.

    Pictures keep the folders of their images. If the folder contains an unfinished run with the same
    `settings`, its results are kept.

    Args:
        folder: where to write.
        total: largest number of images to expect.
        facts: additional keys of every line.
        rules: how the boxes are made, for the page.
        settings: must be equal to resume an unfinished run.
        save: which of `saved_parts.PARTS` to write.
        by_class: write masks and maps to a folder for each class.
    """

    def __init__(
        self,
        folder: Path,
        *,
        total: int,
        facts: Mapping[str, Any],
        rules: BoxRules,
        settings: Mapping[str, Any],
        save: Collection[str] = (),
        by_class: bool = False,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._facts = folder, facts
        self._rules = rules
        self._save, self._by_class = save, by_class
        self._journal = Journal(folder, settings)
        self._lines = (folder / "predictions.jsonl").open("a", encoding="utf-8")
        self._names = FreeNames()
        for overlay in self._journal.done.values():
            self._names.take(overlay.removeprefix(f"{OVERLAYS}/").removesuffix(".jpg"))
        self._on_page = frozenset(spread_evenly(total, most=MAX_ITEMS))
        self._threads = ThreadPoolExecutor()
        self.num_done = len(self._journal.done)
        self.count = self.num_done

    def skip_done(self, inputs: Iterable[Input]) -> Iterator[Input]:
        """Yield the inputs that the unfinished run has not written."""
        return (given for given in inputs if str(given.path) not in self._journal.done)

    def add(self, results: Sequence[tuple[Input, Prediction]]) -> None:
        """Write the lines and pictures of some images, and possibly add them to the page."""
        writing = [
            self._threads.submit(
                self._write_pictures, given, prediction, self._names.free(given.file), number in self._on_page
            )
            for number, (given, prediction) in enumerate(results, start=self.count)
        ]
        items = []
        for (given, prediction), written in zip(results, writing, strict=True):
            places, item = written.result()
            line = {**_origin(given), **prediction_line(prediction), **self._facts, **places}
            self._lines.write(json.dumps(line) + "\n")
            self.count += 1
            items += [item] if item else []
        self._lines.flush()  # before the journal, so that no item is stored twice
        for item in items:
            self._journal.add_item(item)

    def write_page(self, *, unreadable: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """Write the page of all added images; `unreadable` gives the reason for each skipped file."""
        items = self._journal.items
        page = render_page(
            "predictions.html.j2",
            scripts=("page.js", "regions.js", "predictions.js"),
            title="Predictions",
            items=items,
            classes=sorted({name for item in items if item.redraw for name in item.redraw["classes"]}),
            num_images=self.count,
            unreadable=unreadable,
            facts=facts,
        )
        (self._folder / "index.html").write_text(page, encoding="utf-8", errors="replace")
        self._journal.finish()

    def __enter__(self) -> "PredictionFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown()
        self._lines.close()

    def _write_pictures(
        self, given: Input, prediction: Prediction, stem: str, on_page: bool
    ) -> tuple[dict[str, Any], GalleryItem | None]:
        """Write the overlay and the requested parts; return their paths, and the item of the page."""
        overlay = f"{OVERLAYS}/{stem}.jpg"
        place = self._folder / overlay
        place.parent.mkdir(parents=True, exist_ok=True)
        draw_prediction(prediction).save(place, quality=90)
        places: dict[str, Any] = {"overlay": overlay}
        if self._save:
            places["saved"] = save_parts(
                self._folder,
                prediction,
                file=given.file,
                stem=stem,
                parts=self._save,
                by_class=self._by_class,
            )
        return places, prediction_item(str(given.path), prediction, self._rules) if on_page else None


def _origin(given: Input) -> dict[str, Any]:
    """Return the keys of a line that identify the image; for a frame also video, number and time."""
    origin: dict[str, Any] = {"id": str(given.path), "file": given.file}
    if given.frame:
        origin |= {
            "video": str(given.origin),
            "frame": given.frame.index,
            "time": round(given.frame.seconds, 3),
        }
    return origin


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
            "threshold": round(boxed.threshold, 4),
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
        "threshold": boxes[0]["threshold"],
        "boxes": boxes,
    }


def draw_prediction(prediction: Prediction) -> Image.Image:
    """Draw the image with its map and boxes, and the predicted class below; at most `OVERLAY_SIDE` pixels.

    Boxes have the colors of the page's; those of other classes are labeled with their names.
    """
    drawn = reduce_to(prediction.image, OVERLAY_SIDE).copy()
    height, width = drawn.shape[:2]
    scale = np.array([width, height] * 2) / np.array(prediction.image.shape[1::-1] * 2)
    x0, y0, x1, y1 = np.round(prediction.region_xyxy * scale).astype(int).tolist()
    drawn[y0:y1, x0:x1] = draw_map(drawn[y0:y1, x0:x1], prediction.localization_map)
    thickness = max(2, max(width, height) // 250)
    colors = {name: BOX_COLORS[place] for name, place in class_colors(prediction).items()}
    for boxed in prediction.found:
        drawn = draw_boxes(drawn, boxed.box_xyxy[None] * scale, colors[boxed.name], thickness=thickness)
    framed = cv2.copyMakeBorder(drawn, 0, _CAPTION, 0, 0, cv2.BORDER_CONSTANT, value=_PAPER)
    picture = Image.fromarray(framed)
    pen, font = ImageDraw.Draw(picture), _font()
    best = prediction.top[0]
    pen.text((6, height + 5), f"{best.name} {100 * best.probability:.0f}%", fill=_INK, font=font)
    if [boxed.ranked for boxed in prediction.boxed] != [best]:
        for boxed in prediction.found:
            x0, y0 = (boxed.box_xyxy * scale)[:2]
            corner = (x0 + thickness + 2, y0 + thickness)
            pen.text(corner, boxed.name, fill=colors[boxed.name], font=font, stroke_width=2, stroke_fill=_INK)
    return picture


@functools.cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(16)


def prediction_item(name: str, prediction: Prediction, rules: BoxRules) -> GalleryItem:
    """Build the item of an image without ground truth."""
    height, width = prediction.image.shape[:2]
    colors = class_colors(prediction)
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
        threshold=prediction.boxed[0].threshold,
        top=[(ranked.name, ranked.probability) for ranked in prediction.top],
        box_colors=[colors[boxed.name] for boxed in prediction.found],
        key=class_key(prediction),
        redraw=redraw_data(prediction, rules),
    )

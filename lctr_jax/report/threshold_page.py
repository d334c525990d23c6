"""A page that shows a few images with their boxes at several thresholds, to choose one by eye."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.coverage import WHOLE
from lctr_jax.inference.result import Prediction
from lctr_jax.localization.boxes import box_area
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.regions import find_regions
from lctr_jax.localization.threshold_rules import MapRule
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.report.overlay import PREDICTED, draw_boxes
from lctr_jax.report.page import render_page
from lctr_jax.report.pictures import encode_picture

_SIDE = 240  # of a picture's longest side, in pixels
_DIMMED = 0.4  # brightness below the threshold


@dataclass(frozen=True)
class Cell:
    """An image at one threshold: the picture, the threshold, and the share of the image in the box."""

    picture: str
    threshold: float
    share: float


def parse_thresholds(text: str) -> tuple[Threshold, ...]:
    """Parse `0.1,0.2,...`.

    Raises:
        ValueError: one is not a number in [0, 1).
    """
    try:
        return tuple(Threshold(float(part)) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"--thresholds: got {text!r}, expected numbers in [0, 1) such as 0.1,0.2") from error


def write_threshold_page(
    path: Path,
    predictions: Iterable[tuple[str, Prediction]],
    *,
    rules: dict[str, Threshold | MapRule],
    geometry: Geometry,
) -> None:
    """Write the page, with one row per (name, prediction) and one column per rule, by title."""
    rows = [
        (name, prediction.top[0], [_cell(prediction, rule, geometry) for rule in rules.values()])
        for name, prediction in predictions
    ]
    whole = [sum(cells[column].share > WHOLE for _, _, cells in rows) for column in range(len(rules))]
    page = render_page(
        "thresholds.html.j2",
        title="Thresholds",
        titles=list(rules),
        whole=whole,
        whole_percent=round(100 * WHOLE),
        rows=rows,
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def _cell(prediction: Prediction, rule: Threshold | MapRule, geometry: Geometry) -> Cell:
    boxed = prediction.boxed[0]
    levels = quantize_map(resize_map(boxed.score_map, protocol=LCTR_PROTOCOL, image_size=geometry.image_size))
    threshold = rule if isinstance(rule, Threshold) else rule(levels)
    photo = ImageOps.contain(Image.fromarray(prediction.image), (_SIDE, _SIDE))
    pixels, shown = np.asarray(photo), np.zeros((0, 4))
    height, width = prediction.image.shape[:2]
    visible = np.zeros((height, width), bool)
    if regions := find_regions(levels, cut=threshold.cut)[:1]:
        box_xyxy = regions[0].box_xyxy[None].astype(np.float64)
        shown = geometry.boxes_to_original(box_xyxy, width=width, height=height)
        visible = prediction.mask(boxed._replace(region=regions[0]))
    picture = _draw(pixels, visible, shown * (np.array(photo.size * 2) / [width, height, width, height]))
    share = float(box_area(shown, closed=False).sum() / (width * height))
    return Cell(encode_picture(Image.fromarray(picture)), threshold.tau, share)


def _draw(pixels: np.ndarray, visible: np.ndarray, boxes_xyxy: Float[np.ndarray, "boxes 4"]) -> np.ndarray:
    mask = Image.fromarray(visible).resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.NEAREST)
    brightness = np.where(np.asarray(mask), 1.0, _DIMMED)[..., None]
    return draw_boxes((pixels * brightness).astype(np.uint8), boxes_xyxy, PREDICTED)

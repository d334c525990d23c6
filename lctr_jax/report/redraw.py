"""What the page of predictions needs to draw boxes at another threshold: score maps, and how to box them."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lctr_jax.inference.result import BoxedClass, Prediction
from lctr_jax.report.overlay import BOX_COLORS

MAX_SCORES = 3
"""Scores shown for each class."""


@dataclass(frozen=True, kw_only=True)
class BoxRules:
    """How the boxes of a page were made.

    Attributes:
        image_size: side of the network's square input, pixels.
        all_regions: whether every region has a box, or the largest of each class.
        min_area: smallest share of the input that a region must cover.
    """

    image_size: int
    all_regions: bool = False
    min_area: float = 0.0


def redraw_data(prediction: Prediction, rules: BoxRules) -> dict[str, Any]:
    """Return the data of one image, as JSON takes it; `templates/predictions.js` reads it.

    `maps` has one entry per localized class, in the order of their colors; `score` and `size` are the highest
    score and the largest share of the image among the boxes.
    """
    by_class = {boxed.name: boxed for boxed in reversed(prediction.boxed)}
    names = list(dict.fromkeys(boxed.name for boxed in prediction.boxed))
    height, width = prediction.image.shape[:2]
    sides = [boxed.box_xyxy[2:] - boxed.box_xyxy[:2] for boxed in prediction.found]
    return {
        "side": rules.image_size,
        "every": rules.all_regions,
        "minArea": rules.min_area,
        "region": prediction.region_xyxy.round(2).tolist(),
        "maps": [_map_data(by_class[name]) for name in names],
        "classes": list(dict.fromkeys([*names, prediction.top[0].name])),
        "threshold": prediction.boxed[0].threshold,
        "score": round(max((boxed.score for boxed in prediction.found), default=0.0), 4),
        "size": round(max((float(side.prod()) for side in sides), default=0.0) / (width * height), 4),
    }


def _map_data(boxed: BoxedClass) -> dict[str, Any]:
    rows, columns = boxed.score_map.shape
    return {
        "name": boxed.name,
        "probability": round(boxed.ranked.probability, 6),
        "rows": rows,
        "columns": columns,
        "values": encode_values(boxed.score_map),
    }


def encode_values(score_map: Float[np.ndarray, "rows columns"]) -> str:
    """Return the map's values, row by row, as base64 of little-endian float32."""
    return base64.b64encode(score_map.astype("<f4").tobytes()).decode()


def class_colors(prediction: Prediction) -> dict[str, int]:
    """Return a color for each localized class: its place among them, modulo the page's number of colors."""
    names = dict.fromkeys(boxed.name for boxed in prediction.boxed)
    return {name: place % len(BOX_COLORS) for place, name in enumerate(names)}


def class_key(prediction: Prediction) -> list[tuple[str, int, str]]:
    """Return name, color and up to three scores of each localized class, as the page shows them."""
    entries = []
    for name, color in class_colors(prediction).items():
        scores = [f"{boxed.score:.2f}" for boxed in prediction.found if boxed.name == name]
        more = ", ..." if len(scores) > MAX_SCORES else ""
        text = f"score {', '.join(scores[:MAX_SCORES])}{more}" if scores else "no box"
        entries.append((name, color, text))
    return entries

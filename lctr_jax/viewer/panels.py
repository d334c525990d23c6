"""HTML of the interactive demo, with embedded images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from lctr_jax.localization.thresholds import Threshold
from lctr_jax.report.pictures import encode_maps, encode_photo, encode_picture
from lctr_jax.viewer.reading import MAX_PHOTO_SIDE, Reading

_SHADE = 200  # of 255: opacity of the shade over the background

_TEMPLATES = Environment(
    loader=PackageLoader("lctr_jax.viewer", "templates"),
    autoescape=True,  # class names are untrusted
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

STYLE = _TEMPLATES.get_template("viewer.css").render()


def draw_panels(reading: Reading, labels: Sequence[int], threshold: Threshold) -> str:
    """Draw the image with its map and a box for each class, and the maps of the first class."""
    width, height = reading.width, reading.height
    x0, y0, x1, y1 = (reading.region_xyxy / [width, height, width, height] * 100).round(3).tolist()
    boxes = [_in_percent(reading, label, threshold) for label in labels if reading.found(label)]
    foreground = reading.foreground(labels[0], threshold)
    return _TEMPLATES.get_template("panels.html.j2").render(
        photo=encode_photo(reading.photo, side=MAX_PHOTO_SIDE),
        width=width,
        height=height,
        region=f"left: {x0}%; top: {y0}%; width: {x1 - x0:.3f}%; height: {y1 - y0:.3f}%",
        maps=encode_maps(
            reading.relation_map, reading.class_maps[labels[0]], reading.localization_maps[labels[0]]
        ),
        shade=encode_picture(Image.fromarray(_shade(foreground))),
        share=float(foreground.mean()),
        boxes=boxes,
        first=reading.class_names[labels[0]],
        threshold=threshold.tau,
    )


def draw_table(reading: Reading, labels: Sequence[int], threshold: Threshold) -> str:
    """Draw a table of the five most likely and the selected classes, with boxes in pixels of the image."""
    shown = list(dict.fromkeys([*reading.ranking[:5], *labels]))
    rows = [
        {
            "name": reading.class_names[label],
            "probability": float(reading.probability[label]),
            "asked": label in labels,
            "found": reading.found(label),
            "box": reading.box_xyxy(label, threshold).round(1).tolist() if label in labels else None,
        }
        for label in shown
    ]
    return _TEMPLATES.get_template("table.html.j2").render(rows=rows)


def draw_notice(text: str, *, problem: bool = False) -> str:
    """Draw a message instead of images."""
    return _TEMPLATES.get_template("notice.html.j2").render(text=text, problem=problem)


def _in_percent(reading: Reading, label: int, threshold: Threshold) -> dict[str, object]:
    width, height = reading.width, reading.height
    box_xyxy = reading.box_xyxy(label, threshold)
    x0, y0, x1, y1 = (100 * box_xyxy / [width, height, width, height]).round(3).tolist()
    return {"name": reading.class_names[label], "x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}


def _shade(foreground: Bool[np.ndarray, "side side"]) -> UInt8[np.ndarray, "side side 4"]:
    """Return a black shade over everything below the threshold."""
    shade = np.zeros((*foreground.shape, 4), np.uint8)
    shade[..., 3] = np.where(foreground, 0, _SHADE)
    return shade

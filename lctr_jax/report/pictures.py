"""Images embedded in pages, as small WebP files in data URIs."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from lctr_jax.report.overlay import color_map, reduce_to

PHOTO_SIDE = 320
"""Longest side of a photograph in a page, in pixels."""

_MAP_SIDE = 64  # maps are smooth, so the browser can enlarge them
_QUALITY = 78
_EFFORT = 2  # of 6 in encoding; the default, 4, takes twice as long for 2 % smaller photographs

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class EncodedMaps:
    """One image's maps as data URIs: relation map, class map, and their product, the localization map."""

    relation: str
    of_class: str
    fused: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph with its maps and boxes.

    Attributes:
        photo: data URI, possibly reduced in size.
        width: of the coordinate system of the boxes, in pixels.
        height: of the coordinate system of the boxes, in pixels.
        region_xyxy: the region covered by the maps.
        maps: as data URIs.
        predicted_xyxy: predicted boxes.
        true_xyxy: true boxes.
    """

    photo: str
    width: int
    height: int
    region_xyxy: Box
    maps: EncodedMaps
    predicted_xyxy: Sequence[Box]
    true_xyxy: Sequence[Box] = ()


def encode_photo(image: UInt8[np.ndarray, "height width 3"], *, side: int = PHOTO_SIDE) -> str:
    """Encode an image as a data URI, reduced to a longest side of `side` pixels."""
    return encode_picture(Image.fromarray(reduce_to(image, side)))


def encode_maps(
    relation_map: Float[np.ndarray, "grid_h grid_w"],
    class_map: Float[np.ndarray, "grid_h grid_w"],
    localization_map: Float[np.ndarray, "grid_h grid_w"],
) -> EncodedMaps:
    """Encode a relation map, a class map and their localization map in colors."""
    relation, of_class, fused = (
        encode_picture(Image.fromarray(color_map(score_map, width=_MAP_SIDE, height=_MAP_SIDE)))
        for score_map in (relation_map, class_map, localization_map)
    )
    return EncodedMaps(relation=relation, of_class=of_class, fused=fused)


def as_boxes(boxes_xyxy: Float[np.ndarray, "boxes 4"]) -> list[Box]:
    """Convert the rows to plain numbers for a template."""
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.round(boxes_xyxy, 2).tolist()]


def encode_picture(image: Image.Image) -> str:
    """Encode an image as a data URI, including transparency."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=_EFFORT)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()

"""Pictures encoded to travel inside a page: small WebP files as data URIs."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from lctr_jax.report.overlay import color_map

PHOTO_SIDE = 320
"""Longest side of a photograph in a page, pixels."""

_MAP_SIDE = 64  # maps are smooth: the browser enlarges them as well as we could
_QUALITY = 78

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class EncodedMaps:
    """One image's maps as data URIs: the relation map, the class map, and their product that is boxed."""

    relation: str
    of_class: str
    fused: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph with its maps and boxes.

    `width` and `height` are those of the pixels in which `region_xyxy`, where the maps lie, and the boxes
    are given; the photograph itself may be smaller.
    """

    photo: str
    width: int
    height: int
    region_xyxy: Box
    maps: EncodedMaps
    predicted_xyxy: Sequence[Box]
    true_xyxy: Sequence[Box] = ()


def encode_photo(image: UInt8[np.ndarray, "height width 3"], *, side: int = PHOTO_SIDE) -> str:
    """The image as a data URI, no side longer than `side`."""
    photo = Image.fromarray(image)
    photo.thumbnail((side, side))
    return encode_picture(photo)


def encode_maps(
    relation_map: Float[np.ndarray, "grid_h grid_w"],
    class_map: Float[np.ndarray, "grid_h grid_w"],
    localization_map: Float[np.ndarray, "grid_h grid_w"],
) -> EncodedMaps:
    """A relation map, a class map and the localization map that they make, in colors."""
    relation, of_class, fused = (
        encode_picture(Image.fromarray(color_map(score_map, width=_MAP_SIDE, height=_MAP_SIDE)))
        for score_map in (relation_map, class_map, localization_map)
    )
    return EncodedMaps(relation=relation, of_class=of_class, fused=fused)


def as_boxes(boxes_xyxy: Float[np.ndarray, "boxes 4"]) -> list[Box]:
    """The rows as plain numbers, for a template."""
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.round(boxes_xyxy, 2).tolist()]


def encode_picture(image: Image.Image) -> str:
    """A picture as a data URI, with its transparency if it has any."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()

"""The result of localization in one image: ranked classes, boxes and maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lctr_jax.localization.regions import Region

_NO_OUTLINE = np.zeros((0, 2))
_NO_MAP = np.zeros((0, 0), np.float32)


class NotFiniteError(ValueError):
    """The network's output is not finite."""


class RankedClass(NamedTuple):
    """A class and its probability."""

    label: int
    name: str
    probability: float


class BoxedClass(NamedTuple):
    """A class and one of its boxes, in pixels of the image.

    Attributes:
        ranked: the class.
        box_xyxy: corners, half-open.
        found: False if nothing is above the threshold, as in a flat map. The box is then the whole region
            that the network saw.
        score: probability of the class times the map's mean inside the box relative to its maximum; 0 if
            nothing was found.
        outline: contour of the region that the box encloses, in pixels; empty if nothing was found.
        threshold: fraction of the map's maximum above which a pixel is foreground.
        region: the region in the network's square input; None if nothing was found.
        score_map: the class's map, relation map times class map.
    """

    ranked: RankedClass
    box_xyxy: Float[np.ndarray, "4"]
    found: bool
    score: float = 0.0
    outline: Float[np.ndarray, "points 2"] = _NO_OUTLINE
    threshold: float = 0.0
    region: Region | None = None
    score_map: Float[np.ndarray, "grid_h grid_w"] = _NO_MAP

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.ranked.name


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The network's results for an image.

    Attributes:
        image: the RGB image.
        top: the most likely classes, best first.
        boxed: the localized classes with their boxes.
        region_xyxy: the part of the image that the network saw and the maps cover, in pixels of the image.
        relation_map: see `models.output.Output`.
        class_map: of the first localized class.
        localization_map: of the first localized class.
        path: the file that the image was read from; None for other images.
    """

    image: UInt8[np.ndarray, "height width 3"]
    top: Sequence[RankedClass]
    boxed: Sequence[BoxedClass]
    region_xyxy: Float[np.ndarray, "4"]
    relation_map: Float[np.ndarray, "grid_h grid_w"]
    class_map: Float[np.ndarray, "grid_h grid_w"]
    localization_map: Float[np.ndarray, "grid_h grid_w"]
    path: Path | None = None

    @property
    def found(self) -> list[BoxedClass]:
        """The boxes with something above the threshold."""
        return [boxed for boxed in self.boxed if boxed.found]

    @property
    def found_xyxy(self) -> Float[np.ndarray, "boxes 4"]:
        """Their corners."""
        return np.array([boxed.box_xyxy for boxed in self.found]).reshape(-1, 4)

    def mask(self, boxed: BoxedClass) -> Bool[np.ndarray, "height width"]:
        """Return the mask of one box's region in the pixels of the image, with its holes filled."""
        height, width = self.image.shape[:2]
        mask = np.zeros((height, width), bool)
        if boxed.region is not None:
            x0, y0, x1, y1 = np.round(self.region_xyxy).astype(int).tolist()
            seen = boxed.region.mask.astype(np.uint8)
            size = (x1 - x0, y1 - y0)
            mask[y0:y1, x0:x1] = cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST).astype(bool)
        return mask

"""The result of localization in one image: ranked classes, boxes and maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

_NO_OUTLINE = np.zeros((0, 2))


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
    """

    ranked: RankedClass
    box_xyxy: Float[np.ndarray, "4"]
    found: bool
    score: float = 0.0
    outline: Float[np.ndarray, "points 2"] = _NO_OUTLINE

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
    """

    image: UInt8[np.ndarray, "height width 3"]
    top: Sequence[RankedClass]
    boxed: Sequence[BoxedClass]
    region_xyxy: Float[np.ndarray, "4"]
    relation_map: Float[np.ndarray, "grid_h grid_w"]
    class_map: Float[np.ndarray, "grid_h grid_w"]
    localization_map: Float[np.ndarray, "grid_h grid_w"]

    @property
    def found(self) -> list[BoxedClass]:
        """The boxes with something above the threshold."""
        return [boxed for boxed in self.boxed if boxed.found]

    @property
    def found_xyxy(self) -> Float[np.ndarray, "boxes 4"]:
        """Their corners."""
        return np.array([boxed.box_xyxy for boxed in self.found]).reshape(-1, 4)

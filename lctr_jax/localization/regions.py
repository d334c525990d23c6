"""Connected regions of a score map above a threshold: box, outline and strength."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


class Region(NamedTuple):
    """A connected region of foreground, in pixels of the frame.

    Attributes:
        box_xyxy: bounding rectangle, half-open.
        outline: points of its contour, x and y of pixel centers.
        area: area inside the contour, in square pixels.
        strength: mean of the map inside the box relative to the map's maximum, in [0, 1].
        frame: height and width of the frame, in pixels.
    """

    box_xyxy: Int[np.ndarray, "4"]
    outline: Float[np.ndarray, "points 2"]
    area: float
    strength: float
    frame: tuple[int, int]

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The region's pixels in the frame, including its holes."""
        filled = np.zeros(self.frame, np.uint8)
        cv2.drawContours(filled, [np.floor(self.outline).astype(np.int32)], -1, 1, cv2.FILLED)
        return filled.astype(bool)


def find_regions(
    levels: UInt8[np.ndarray, "height width"], *, cut: int, min_area: float = 0.0
) -> Sequence[Region]:
    """Find the connected regions above a gray level, largest contour first.

    Connectivity is 8, as for OpenCV's contours; a hole belongs to the region around it.

    Args:
        levels: a map as gray levels 0..255, 255 at its maximum (`quantize_map`); all zeros for a flat map.
        cut: foreground is `levels > cut`.
        min_area: smallest share of the frame that a region's contour must enclose.
    """
    foreground = (levels > cut).astype(np.uint8)
    contours, _ = cv2.findContours(foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    by_area = sorted(((cv2.contourArea(contour), contour) for contour in contours), key=lambda pair: -pair[0])
    least = min_area * levels.size
    return [_region(contour, area, levels) for area, contour in by_area if area >= least]


def _region(contour: np.ndarray, area: float, levels: UInt8[np.ndarray, "height width"]) -> Region:
    x, y, width, height = cv2.boundingRect(contour)
    return Region(
        box_xyxy=np.array([x, y, x + width, y + height]),
        outline=contour[:, 0] + 0.5,
        area=float(area),
        strength=float(levels[y : y + height, x : x + width].mean() / 255),
        frame=(levels.shape[0], levels.shape[1]),
    )

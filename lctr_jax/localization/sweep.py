"""Boxes at every threshold of a map: equal to those of OpenCV's `findContours` at each of the 256 cuts.

Tens of times faster than calling it once per threshold.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Int, UInt8

from lctr_jax.host.compilation import compiled
from lctr_jax.localization.component_tree import find_components
from lctr_jax.localization.holes import fill_holes


class ContourBoxes(NamedTuple):
    """Bounding rectangles of contours, each with the range of cuts in which it exists.

    Attributes:
        rectangles_xyxy: half-open bounding rectangles in pixels.
        first_cut: lowest cut of the range.
        last_cut: highest cut of the range, inclusive.
    """

    rectangles_xyxy: Int[np.ndarray, "contours 4"]
    first_cut: Int[np.ndarray, " contours"]
    last_cut: Int[np.ndarray, " contours"]


def largest_rectangles(levels: UInt8[np.ndarray, "height width"]) -> Int[np.ndarray, "cuts 4"]:
    """Return the bounding rectangle of the largest contour at every cut, zeros if there is none.

    Row c belongs to the foreground `levels > c`; corners are half-open, in pixels. The largest contour is the
    one with the largest `cv2.contourArea`; ties go to the first in `cv2.findContours`'s order.
    """
    # The largest contour is neither a hole's nor inside a hole, since the outline around the hole is larger.
    components = find_components(fill_holes(levels), diagonal=True)
    # OpenCV lists outlines bottom up: of equal areas, the last one in raster order comes first.
    scores = (components.double_area.astype(np.int64) << 32) + components.first_pixel
    best = best_by_cut(components.first_cut, components.last_cut, scores)
    nothing = np.zeros((1, 4), components.rectangles_xyxy.dtype)
    return np.concatenate([components.rectangles_xyxy, nothing])[best]


def all_rectangles(levels: UInt8[np.ndarray, "height width"]) -> ContourBoxes:
    """Return the bounding rectangles of all contours at every cut, including those of holes.

    A hole's contour runs through the foreground pixels around it.
    """
    height, width = levels.shape
    outlines = find_components(levels, diagonal=True)
    # levels <= cut exactly where 255 - levels > 254 - cut.
    gaps = find_components(255 - levels, diagonal=False)
    left, top, right, bottom = gaps.rectangles_xyxy.T
    is_hole = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    around_holes = gaps.rectangles_xyxy[is_hole] + np.array([-1, -1, 1, 1], np.int32)
    return ContourBoxes(
        np.concatenate([outlines.rectangles_xyxy, around_holes]),
        np.concatenate([outlines.first_cut, 254 - gaps.last_cut[is_hole]]),
        np.concatenate([outlines.last_cut, 254 - gaps.first_cut[is_hole]]),
    )


@compiled(nogil=True)
@no_type_check
def best_by_cut(first_cut, last_cut, scores):
    """Return, for each of 256 cuts, the index of the best-scored interval containing it, or -1.

    Ties go to the first one.

    Args:
        first_cut: int [intervals], first cut of each interval.
        last_cut: int [intervals], last cut of each, inclusive.
        scores: [intervals].
    """
    best = np.full(256, -1, np.int64)
    for index in range(len(scores)):
        for cut in range(first_cut[index], last_cut[index] + 1):
            if best[cut] < 0 or scores[index] > scores[best[cut]]:
                best[cut] = index
    return best

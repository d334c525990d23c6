"""Every threshold of one map at once: what OpenCV's `findContours` would box at each of its 256 cuts.

Exact, and tens of times faster than calling it once a threshold.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Int, UInt8

from lctr_jax.localization.compilation import compiled
from lctr_jax.localization.component_tree import find_components
from lctr_jax.localization.holes import fill_holes


class ContourBoxes(NamedTuple):
    """Bounding rectangles of contours, each with the cuts at which it exists.

    Attributes:
        rectangles_xyxy: half-open bounding rectangles.
        first_cut: lowest cut at which the rectangle is there.
        last_cut: highest such cut, included.
    """

    rectangles_xyxy: Int[np.ndarray, "contours 4"]
    first_cut: Int[np.ndarray, " contours"]
    last_cut: Int[np.ndarray, " contours"]


def largest_rectangles(levels: UInt8[np.ndarray, "height width"]) -> Int[np.ndarray, "cuts 4"]:
    """Returns the bounding rectangle of the largest contour at every cut, zeros where there is none.

    Row c belongs to the foreground `levels > c`; corners are half-open. The largest contour is the one of
    largest `cv2.contourArea`; of several, the first in `cv2.findContours`'s order.
    """
    # The largest contour is never a hole's, nor does it lie in a hole: the outline around it is larger.
    components = find_components(fill_holes(levels), diagonal=True)
    # OpenCV lists outlines bottom up, so that of equals it is the last in raster order which comes first.
    scores = (components.double_area.astype(np.int64) << 32) + components.first_pixel
    best = best_by_cut(components.first_cut, components.last_cut, scores)
    nothing = np.zeros((1, 4), components.rectangles_xyxy.dtype)
    return np.concatenate([components.rectangles_xyxy, nothing])[best]


def all_rectangles(levels: UInt8[np.ndarray, "height width"]) -> ContourBoxes:
    """Returns the bounding rectangles of all contours at every cut, those of holes included.

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
    """Returns, for each of 256 cuts, the index of the first best-scored interval that holds it, or -1.

    Args:
        first_cut: first cut of each interval.
        last_cut: last cut of each, included.
        scores: of each.
    """
    best = np.full(256, -1, np.int64)
    for index in range(len(scores)):
        for cut in range(first_cut[index], last_cut[index] + 1):
            if best[cut] < 0 or scores[index] > scores[best[cut]]:
                best[cut] = index
    return best

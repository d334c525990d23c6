"""Every threshold of one map at once: its boxes at all 256 cuts."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from lctr_jax.localization.maps import NUM_CUTS


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

    Row c belongs to the foreground `levels > c`; corners are half-open. The largest contour is the first
    of largest `cv2.contourArea`.
    """
    rectangles = np.zeros((NUM_CUTS, 4), np.int64)
    for cut in range(NUM_CUTS):
        contours = _find_contours(levels, cut)
        if contours:
            rectangles[cut] = _rectangle(max(contours, key=cv2.contourArea))
    return rectangles


def all_rectangles(levels: UInt8[np.ndarray, "height width"]) -> ContourBoxes:
    """Returns the bounding rectangles of all contours, those of holes included, at every cut."""
    rows = [
        (*_rectangle(contour), cut, cut) for cut in range(NUM_CUTS) for contour in _find_contours(levels, cut)
    ]
    table = np.array(rows, np.int64).reshape(-1, 6)
    return ContourBoxes(table[:, :4], table[:, 4], table[:, 5])


def largest_rectangle(levels: UInt8[np.ndarray, "height width"], *, cut: int) -> Int[np.ndarray, "4"]:
    """Returns row `cut` of `largest_rectangles`, at the price of one."""
    contours = _find_contours(levels, cut)
    return _rectangle(max(contours, key=cv2.contourArea)) if contours else np.zeros(4, np.int64)


def _find_contours(levels: np.ndarray, cut: int) -> list[np.ndarray]:
    foreground = (levels > cut).astype(np.uint8)
    contours, _ = cv2.findContours(foreground, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    return list(contours)


def _rectangle(contour: np.ndarray) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(contour)
    return np.array([x, y, x + width, y + height], np.int64)

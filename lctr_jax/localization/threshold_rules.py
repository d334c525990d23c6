"""Rules that choose a threshold from the map itself, for networks without a calibrated threshold.

A rule takes a map as gray levels 0..255 (`maps.quantize_map`) and returns the threshold for this map.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

from lctr_jax.localization.maps import NUM_CUTS
from lctr_jax.localization.thresholds import Threshold

Levels = UInt8[np.ndarray, "height width"]
MapRule = Callable[[Levels], Threshold]


def otsu_threshold(levels: Levels) -> Threshold:
    """Minimize the variance within foreground and background (Otsu, IEEE Trans. SMC 9(1), 1979)."""
    cut, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return _of_cut(int(cut))


def area_threshold(levels: Levels, *, share: float) -> Threshold:
    """Choose the lowest threshold whose foreground is at most this share of the map's pixels."""
    above = levels.size - np.cumsum(np.bincount(levels.ravel(), minlength=NUM_CUTS))
    return _of_cut(int(np.argmax(above <= share * levels.size)))


def mass_threshold(levels: Levels, *, share: float) -> Threshold:
    """Choose the highest threshold whose foreground has at least this share of the sum over the map.

    This gives a small foreground on a map with a sharp peak, and a large one on a smooth map.
    """
    mass = np.bincount(levels.ravel(), minlength=NUM_CUTS) * np.arange(NUM_CUTS)
    above = mass.sum() - np.cumsum(mass)
    reached = np.flatnonzero(above >= share * mass.sum())
    return _of_cut(int(reached[-1]) if mass.any() else 0)


def _of_cut(cut: int) -> Threshold:
    """Return the midpoint of the thresholds that give this cut."""
    return Threshold(min(cut + 0.5, 254.5) / 255, "map")

"""Score maps enlarged to the frame and quantized to gray levels, where all 256 thresholds live."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from lctr_jax.localization.protocols import Protocol

NUM_CUTS = 256
"""Distinct cuts of a uint8 map: foreground is `levels > cut`, cut 0..255 (255 leaves none)."""


def resize_map(
    score_map: Float[np.ndarray, "grid_height grid_width"], *, protocol: Protocol, image_size: int
) -> Float[np.ndarray, "height width"]:
    """Enlarges a score map to the frame and stretches it to [0, 1] in float32.

    A map that is constant, or holds NaN or infinity, has nothing to localize: it becomes zeros.
    """
    score_map = np.asarray(score_map, np.float32)
    frame = cv2.resize(score_map, (image_size, image_size), interpolation=protocol.interpolation)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.ptp(frame)
        constant = np.ptp(score_map) == 0  # interpolation gives even such a map some noise to stretch
    if constant or spread == 0 or not np.isfinite(spread):
        return np.zeros_like(frame)
    frame -= frame.min()
    frame /= spread
    return frame


def quantize_map(frame: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Turns a map in [0, 1] into gray levels 0..255, truncating as both protocols do."""
    return (frame * 255).astype(np.uint8)


def tau_grid(step: float) -> Float[np.ndarray, " taus"]:
    """Thresholds 0, step, 2 step, ... below 1."""
    return np.arange(0, 1, step)


def cut_of_tau(taus: Float[np.ndarray, " taus"]) -> Int[np.ndarray, " taus"]:
    """Returns the gray levels above which a pixel is foreground: int(tau * max), with max = 255.

    A map that is not constant always reaches 255; a constant one has no foreground at any cut.

    Examples:
        >>> cut_of_tau(np.array([0.0, 0.001, 0.09, 0.18, 0.999])).tolist()  # two thresholds, one cut
        [0, 0, 22, 45, 254]
    """
    return np.trunc(taus * 255).astype(np.int64)

"""Score maps resized to the frame and quantized to gray levels; both protocols threshold gray levels."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from lctr_jax.localization.protocols import Protocol

NUM_CUTS = 256
"""Number of distinct cuts of a uint8 map: foreground is `levels > cut`, cut 0..255 (255: no foreground)."""


def resize_map(
    score_map: Float[np.ndarray, "grid_height grid_width"], *, protocol: Protocol, image_size: int
) -> Float[np.ndarray, "height width"]:
    """Resize a score map to the frame and scale it to [0, 1] in float32.

    A map that is constant or contains NaN or infinity localizes nothing and becomes zeros.

    Args:
        score_map: any resolution and range.
        protocol: determines the interpolation.
        image_size: side of the frame in pixels.
    """
    score_map = np.asarray(score_map, np.float32)
    frame = cv2.resize(score_map, (image_size, image_size), interpolation=protocol.interpolation)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.ptp(frame)
        # Checked before resizing: interpolation leaves rounding noise in a constant map.
        constant = np.ptp(score_map) == 0
    if constant or spread == 0 or not np.isfinite(spread):
        return np.zeros_like(frame)
    frame -= frame.min()
    frame /= spread
    return frame


def quantize_map(frame: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Quantize a map in [0, 1] to gray levels 0..255, truncating as both protocols do."""
    return (frame * 255).astype(np.uint8)


def tau_grid(step: float) -> Float[np.ndarray, " taus"]:
    """Return the thresholds 0, step, 2 step, ... below 1."""
    return np.arange(0, 1, step)


def cut_of_tau(taus: Float[np.ndarray, " taus"]) -> Int[np.ndarray, " taus"]:
    """Return the gray levels above which a pixel is foreground: int(tau * max), with max = 255.

    The maximum of a map that is not constant is always 255; a constant one has no foreground at any cut.

    Examples:
        >>> cut_of_tau(np.array([0.0, 0.001, 0.09, 0.18, 0.999])).tolist()  # two thresholds, one cut
        [0, 0, 22, 45, 254]
    """
    return np.trunc(taus * 255).astype(np.int64)

"""Convert gray images of more than 8 bits to 8 bits; PIL's own conversion clips values at 255.

Integers are divided by the smallest sufficient power of two: 12-bit data in a 16-bit file, with a largest
value of 2048 to 4095, by 16. Values that fit into 8 bits are unchanged, and so are the labels of a mask.
Floats, and integers with negative values, are scaled from their minimum and maximum.
"""

import numpy as np
from PIL import Image

_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def is_deep(image: Image.Image) -> bool:
    """Return whether PIL keeps more than 8 bits of an image."""
    return image.mode in _DEEP


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert a gray image of more than 8 bits to 8 bits."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or (values.size and values.min() < 0):
        return Image.fromarray(_stretched(values.astype(np.float64)))
    bits = int(values.max()).bit_length() if values.size else 0
    return Image.fromarray((values >> max(0, bits - 8)).astype(np.uint8))


def _stretched(values: np.ndarray) -> np.ndarray:
    """Map the smallest finite value to 0 and the largest to 255; NaN to 0, and a constant image to 128."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[finite].min(), values[finite].max()
    if low == high:
        return np.where(finite, 128, 0).astype(np.uint8)
    # Halved first: the difference of two float64 of opposite sign may overflow.
    share = (np.where(finite, values, low) / 2 - low / 2) / (high / 2 - low / 2)
    share = np.where(np.isposinf(values), 1.0, share)
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)

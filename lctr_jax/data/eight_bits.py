"""Gray images of more than 8 bits to 8 bits; PIL's conversion cuts values off at 255 and leaves them blank.

Integers are divided by the power of two that their largest value asks for: 12-bit data in a 16-bit file,
largest value 2048 to 4095, by 16. What fits into 8 bits stays as it is, and so do the labels of a mask.
Floats, and integers of which some are negative, are stretched from their least to their greatest value.
"""

import numpy as np
from PIL import Image

_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def is_deep(image: Image.Image) -> bool:
    """Tell whether an image has more than 8 bits that PIL keeps."""
    return image.mode in _DEEP


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return a deep gray image as 8-bit gray."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or (values.size and values.min() < 0):
        return Image.fromarray(_stretched(values.astype(np.float64)))
    bits = int(values.max()).bit_length() if values.size else 0
    return Image.fromarray((values >> max(0, bits - 8)).astype(np.uint8))


def _stretched(values: np.ndarray) -> np.ndarray:
    """Map the least finite value to 0 and the greatest to 255; NaN to 0, a constant image to 128."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[finite].min(), values[finite].max()
    if low == high:
        return np.where(finite, 128, 0).astype(np.uint8)
    # Halves first: the difference of two float64 of opposite sign may overflow.
    share = (np.where(finite, values, low) / 2 - low / 2) / (high / 2 - low / 2)
    share = np.where(np.isposinf(values), 1.0, share)
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)

"""Hole filling for all thresholds of a gray-level image at once, compiled by Numba."""

from typing import no_type_check

import numpy as np

from lctr_jax.host.compilation import compiled

_NONE = np.uint64(0)  # index 0 is padding, so it can mark the end of a list


@compiled(nogil=True)
@no_type_check
def fill_holes(levels):
    """Fill the holes of the sets `levels > cut` at every cut.

    Morphological reconstruction by erosion from the image border with 4-connectivity, i.e. flooding: a
    pixel's new level is the lowest water level at which water from outside the image reaches it.

    Args:
        levels: uint8 [height, width].

    Returns:
        The filled levels, uint8 [height, width].
    """
    height, width = levels.shape
    stride = width + 2
    filled = np.zeros((height + 2, stride), np.uint8)
    filled[1:-1, 1:-1] = levels
    dry = np.zeros(filled.shape, np.uint8)
    dry[1:-1, 1:-1] = 1
    water, is_dry = filled.ravel(), dry.ravel()
    # A stack of waiting pixels for every level: the latest pixel of each level and the predecessor of each
    # pixel.
    latest, previous = np.full(256, _NONE, np.uint32), np.empty(water.size, np.uint32)
    for row in range(1, height + 1):
        # All pixels of the first and last row, and the two ends of the other rows.
        step = 1 if row in (1, height) else max(width - 1, 1)
        for pixel in range(row * stride + 1, row * stride + width + 1, step):
            is_dry[pixel] = 0
            previous[pixel], latest[water[pixel]] = latest[water[pixel]], pixel
    # Unsigned sums wrap around as intended, and Numba does not check unsigned indices for negative values.
    up, left, right, down = np.uint64(-stride), np.uint64(-1), np.uint64(1), np.uint64(stride)
    for level in range(256):
        while latest[level] != _NONE:
            pixel = np.uint64(latest[level])
            latest[level] = previous[pixel]
            for step in (up, left, right, down):
                neighbor = pixel + step
                if is_dry[neighbor]:
                    is_dry[neighbor] = 0
                    reached = water[neighbor]
                    if reached < level:
                        water[neighbor] = reached = np.uint8(level)
                    previous[neighbor], latest[reached] = latest[reached], neighbor
    return filled[1:-1, 1:-1]

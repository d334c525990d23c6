"""Hole filling for all thresholds of a gray-level image at once, compiled by Numba."""

from typing import no_type_check

import numpy as np

from lctr_jax.localization.compilation import compiled

_NONE = np.uint64(0)  # a pixel of the padding stands for no pixel


@compiled(nogil=True)
@no_type_check
def fill_holes(levels):
    """Fills the holes of the sets `levels > cut` at every cut.

    A pixel's new level is that of the water which first reaches it from around the image, where water
    passes between pixels that share a side: morphological reconstruction by erosion, from the border.

    Args:
        levels: uint8 [height, width].
    """
    height, width = levels.shape
    stride = width + 2
    filled = np.zeros((height + 2, stride), np.uint8)
    filled[1:-1, 1:-1] = levels
    dry = np.zeros(filled.shape, np.uint8)
    dry[1:-1, 1:-1] = 1
    water, is_dry = filled.ravel(), dry.ravel()
    # Pixels in wait by level, last in first out: each level's latest pixel, and each pixel's predecessor.
    latest, previous = np.full(256, _NONE, np.uint32), np.empty(water.size, np.uint32)
    for row in range(1, height + 1):
        # Every pixel of the first and last row, the two ends of the others.
        step = 1 if row in (1, height) else max(width - 1, 1)
        for pixel in range(row * stride + 1, row * stride + width + 1, step):
            is_dry[pixel] = 0
            previous[pixel], latest[water[pixel]] = latest[water[pixel]], pixel
    # Unsigned sums wrap around as they should, and Numba need not ask whether an index is negative.
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

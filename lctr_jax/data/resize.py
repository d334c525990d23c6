"""Resize images exactly as PIL does, about four times as fast.

PIL resizes in two passes with integer weights. Here both run over contiguous rows, the horizontal one on the
transposed image, so that the compiler can vectorize them. Compiled by Numba; all compiled functions are in
this file, because Numba's cache does not notice changes in other files.
"""

import math
from typing import no_type_check

import cv2
import numpy as np
from jaxtyping import UInt8
from numba import njit
from PIL import Image

from lctr_jax.data.image_decoding import RgbPixels
from lctr_jax.host.compilation import compiled

_STRIP = 256  # rows resized at a time, which then fit in the cache
_BITS = 22  # of a weight's fraction; 8 bits of a pixel and 2 of headroom complete an int32


def resize(
    pixels: RgbPixels,
    size: tuple[int, int],
    *,
    resample: Image.Resampling,
    box: tuple[float, float, float, float] | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Resize with the same pixels as PIL's `resize(size, resample, box)`, then `crop(window)`.

    Args:
        pixels: the image.
        size: width and height of the resized image in pixels.
        resample: BICUBIC or BILINEAR.
        box: left, top, right and bottom of the region to resize, in pixels; the whole image if None. Pixels
            next to it affect the border of the result.
        window: left, top, right and bottom, in pixels of the resized image, of the part to compute; all of
            it if None.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = np.array(box or (0, 0, width, height), np.float32)  # PIL's precision
    first_x, first_y, end_x, end_y = window or (0, 0, *size)
    cubic = resample is Image.Resampling.BICUBIC
    x_start, x_weights = _weights(width, float(x0), float(x1 - x0), size[0], first_x, end_x, cubic)
    y_start, y_weights = _weights(height, float(y0), float(y1 - y0), size[1], first_y, end_y, cubic)
    x_end, y_end = x_start[-1] + x_weights.shape[1], y_start[-1] + y_weights.shape[1]
    needed = pixels[y_start[0] : y_end, x_start[0] : x_end]
    rows = np.empty((len(needed), len(x_start), 3), np.uint8)
    for top in range(0, len(needed), _STRIP):
        columns = cv2.transpose(needed[top : top + _STRIP])
        columns = _combine_rows(columns.reshape(len(columns), -1), x_start - x_start[0], x_weights)
        cv2.transpose(columns.reshape(len(columns), -1, 3), dst=rows[top : top + _STRIP])
    rows = _combine_rows(rows.reshape(len(rows), -1), y_start - y_start[0], y_weights)
    return rows.reshape(len(rows), -1, 3)


@compiled(nogil=True)
@no_type_check
def _weights(length, start, extent, side, first_place, end_place, cubic):
    """Return first pixel and weights of output pixels, padded with zeros, as PIL rounds them.

    The output has `side` pixels; those from `first_place` to `end_place` are returned.
    """
    scale = extent / side
    stretch = max(scale, 1.0)
    support = (2.0 if cubic else 1.0) * stretch
    count = min(length, math.ceil(support) * 2 + 1)
    starts = np.zeros(end_place - first_place, np.int64)
    weights = np.zeros((end_place - first_place, count), np.int32)
    kernel = np.empty(count, np.float64)
    for place in range(first_place, end_place):
        row = place - first_place
        center = start + (place + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        taps = min(int(center + support + 0.5), length) - first
        total = 0.0
        for tap in range(taps):
            kernel[tap] = _kernel((tap + first - center + 0.5) * (1.0 / stretch), cubic)
            total += kernel[tap]
        # Padding must not reach past the image, so the last windows start earlier, with leading zeros.
        starts[row] = min(first, length - count)
        for tap in range(taps):
            weight = kernel[tap] / total * (1 << _BITS)
            rounded = int(weight - 0.5) if weight < 0 else int(weight + 0.5)
            weights[row, first - starts[row] + tap] = rounded
    return starts, weights


@njit(nogil=True)
@no_type_check
def _kernel(x, cubic):
    x = abs(x)
    if not cubic:
        return 1.0 - x if x < 1.0 else 0.0
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 if x < 2.0 else 0.0


@compiled(nogil=True)
@no_type_check
def _combine_rows(rows, starts, weights):
    """Return for every output row the weighted sum of input rows, rounded and clipped to a byte."""
    length = rows.shape[1]
    out = np.empty((len(starts), length), np.uint8)
    sums = np.empty(length, np.int32)
    for place in range(len(starts)):
        sums[:] = 1 << (_BITS - 1)
        for tap in range(weights.shape[1]):
            weight = weights[place, tap]
            if weight != 0:
                row = rows[starts[place] + tap]
                for i in range(length):
                    sums[i] += np.int32(row[i]) * weight
        target = out[place]
        for i in range(length):
            target[i] = np.uint8(min(max(sums[i] >> np.int32(_BITS), np.int32(0)), np.int32(255)))
    return out

"""The connected components of every threshold set of a grey-level image, in one flood.

Compiled by Numba. The image is padded by one pixel, so that no neighbour needs a bounds check, and walked as
a flat array. All its compiled functions are in this file: Numba's cache overlooks changes in another one.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Int, UInt8
from numba import njit

_LEFT, _TOP, _RIGHT, _BOTTOM, _AREA, _FIRST, _LOW, _HIGH = range(8)
_EMPTY = -1


class Components(NamedTuple):
    """Components of the sets `levels > cut`, each with the cuts at which it stays the same.

    Attributes:
        rectangles_xyxy: half-open bounding rectangles.
        double_area: twice the area of the polygon through the outermost pixels' centres, less that of holes.
        first_pixel: a number that grows with the raster position of the component's first pixel.
        first_cut: lowest cut at which the component is there.
        last_cut: highest such cut, included.
    """

    rectangles_xyxy: Int[np.ndarray, "components 4"]
    double_area: Int[np.ndarray, " components"]
    first_pixel: Int[np.ndarray, " components"]
    first_cut: Int[np.ndarray, " components"]
    last_cut: Int[np.ndarray, " components"]


def find_components(levels: UInt8[np.ndarray, "height width"], *, diagonal: bool) -> Components:
    """Returns the components of `levels > cut` at every cut from 0 to 254.

    Args:
        levels: grey levels.
        diagonal: whether pixels that touch at a corner are neighbours (`double_area` supposes so).
    """
    # One memory layout, so that Numba compiles once.
    table = _flood(np.ascontiguousarray(levels), diagonal)
    return Components(table[:, :4], table[:, _AREA], table[:, _FIRST], table[:, _LOW], table[:, _HIGH])


@njit(cache=True, nogil=True)
@no_type_check
def _flood(levels, diagonal):
    """Lists components as rows (_LEFT, ..., _HIGH).

    The flood of Nister and Stewenius, "Linear time maximally stable extremal regions" (ECCV 2008), upside
    down: climb to a summit, then fall level by level. `stack` holds the components on the way down, the
    highest on top; whenever the fall leaves a level, the top one is complete.
    """
    height, width = levels.shape
    stride = width + 2
    padded = np.zeros((height + 2, stride), np.uint8)
    padded[1:-1, 1:-1] = levels
    seen = np.ones(padded.shape, np.bool_)
    seen[1:-1, 1:-1] = False
    ground, visited = padded.ravel(), seen.ravel()
    weights = _corner_weights(padded)
    steps = np.array([-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1])
    steps = steps[: 8 if diagonal else 4]
    heads, links = _empty_queue(ground.size)
    rows, num_rows = np.empty((levels.size, 8), np.int32), 0
    stack, depth = np.empty((258, 8), np.int32), 1
    stack[0, _HIGH] = -1  # below every level: the bottom is never complete

    pixel = stride + 1
    level = np.int64(ground[pixel])
    visited[pixel] = True
    _start_component(stack[depth], level)
    while level >= 0:
        higher = _visit_neighbors(pixel, steps, ground, visited, heads, links)
        if higher != _EMPTY:
            _push(heads, links, pixel, ground)
            pixel, level = higher, np.int64(ground[higher])
            depth += 1
            _start_component(stack[depth], level)
            continue
        _add_pixel(stack[depth], pixel, stride, weights[pixel])
        while level >= 0 and heads[level] == _EMPTY:
            level -= 1
        depth, num_rows = _complete_components(stack, depth, max(level, 0), rows, num_rows)
        if level >= 0:
            pixel = heads[level]
            heads[level] = links[pixel]
    return rows[:num_rows].copy()


@njit(cache=True)
@no_type_check
def _visit_neighbors(pixel, steps, ground, visited, heads, links):
    """Queues unseen neighbours up to the first that lies higher, and returns that one."""
    for step in steps:
        neighbor = pixel + step
        if not visited[neighbor]:
            visited[neighbor] = True
            if ground[neighbor] > ground[pixel]:
                return neighbor
            _push(heads, links, neighbor, ground)
    return _EMPTY


@njit(cache=True, inline="always")  # measured: a call here costs as much as all the rest
@no_type_check
def _complete_components(stack, depth, floor, rows, num_rows):
    """Writes down the components above `floor`, and joins each with the one below where they meet."""
    while stack[depth, _HIGH] > floor:
        top, below = stack[depth], stack[depth - 1]
        top[_LOW] = max(floor, below[_HIGH])
        rows[num_rows] = top
        rows[num_rows, _HIGH] -= 1  # at this cut and above, the component is gone
        num_rows += 1
        if below[_HIGH] < floor:
            top[_HIGH] = floor
        else:
            _merge(below, top)
            depth -= 1
    return depth, num_rows


@njit(cache=True)
@no_type_check
def _empty_queue(size):
    """Pixels by level, last in first out: the head of each level's chain, and each pixel's successor."""
    return np.full(256, _EMPTY, np.int32), np.empty(size, np.int32)


@njit(cache=True)
@no_type_check
def _push(heads, links, pixel, levels):
    links[pixel] = heads[levels[pixel]]
    heads[levels[pixel]] = pixel


@njit(cache=True)
@no_type_check
def _start_component(component, level):
    component[_LEFT:_RIGHT] = 1 << 30
    component[_RIGHT:_FIRST] = 0
    component[_FIRST] = 1 << 30
    component[_HIGH] = level


@njit(cache=True)
@no_type_check
def _add_pixel(component, pixel, stride, weight):
    row, column = pixel // stride - 1, pixel % stride - 1
    component[_LEFT] = min(component[_LEFT], column)
    component[_TOP] = min(component[_TOP], row)
    component[_RIGHT] = max(component[_RIGHT], column + 1)
    component[_BOTTOM] = max(component[_BOTTOM], row + 1)
    component[_AREA] += weight
    component[_FIRST] = min(component[_FIRST], pixel)


@njit(cache=True)
@no_type_check
def _merge(component, other):
    for index in (_LEFT, _TOP, _FIRST):
        component[index] = min(component[index], other[index])
    for index in (_RIGHT, _BOTTOM):
        component[index] = max(component[index], other[index])
    component[_AREA] += other[_AREA]


@njit(cache=True)
@no_type_check
def _corner_weights(padded):
    """Twice the polygon area that a set gains when a pixel joins it, pixels joining from high to low.

    Of a 2 x 2 square of pixels, the polygon through their centres covers half when three are in the set and
    all when four are: the two lowest pixels of each square bring half a unit each.
    """
    height, width = padded.shape
    weights = np.zeros(padded.size, np.int32)
    flat = padded.ravel()
    for row in range(1, height - 2):
        for column in range(1, width - 2):
            a = row * width + column
            b, c, d = a + 1, a + width, a + width + 1
            if flat[a] > flat[b]:
                a, b = b, a
            if flat[c] > flat[d]:
                c, d = d, c
            if flat[a] > flat[c]:
                a, b, c = c, d, a
            weights[a] += 1
            weights[b if flat[b] < flat[c] else c] += 1
    return weights

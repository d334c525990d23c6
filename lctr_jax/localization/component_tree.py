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
    shift = 1
    while (1 << shift) < width + 2:
        shift += 1
    stride = 1 << shift  # a power of two spares a division for each pixel
    padded = np.zeros((height + 2, stride), np.uint8)
    padded[1:-1, 1 : width + 1] = levels
    seen = np.ones(padded.shape, np.bool_)
    seen[1:-1, 1 : width + 1] = False
    ground, visited = padded.ravel(), seen.ravel()
    weights = _corner_weights(padded).ravel()
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
        _add_pixel(stack[depth], pixel, shift, weights[pixel])
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
def _add_pixel(component, pixel, shift, weight):  # branches, rarely taken, beat storing a minimum each time
    row, column = (pixel >> shift) - 1, (pixel & ((1 << shift) - 1)) - 1
    if column < component[_LEFT]:
        component[_LEFT] = column
    if row < component[_TOP]:
        component[_TOP] = row
    if column >= component[_RIGHT]:
        component[_RIGHT] = column + 1
    if row >= component[_BOTTOM]:
        component[_BOTTOM] = row + 1
    if pixel < component[_FIRST]:
        component[_FIRST] = pixel
    component[_AREA] += weight


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

    It covers half of a 2 x 2 square of centres when three are in the set and all when four are: the third and
    the fourth to join bring half a unit each. Of equal pixels, the first in raster order joins first.
    """
    weights = np.zeros(padded.shape, np.uint8)
    for y in range(1, padded.shape[0] - 1):
        for x in range(1, padded.shape[1] - 1):
            here = padded[y, x]
            north_west, north = padded[y - 1, x - 1] >= here, padded[y - 1, x] >= here
            north_east, west = padded[y - 1, x + 1] >= here, padded[y, x - 1] >= here
            east, south_west = padded[y, x + 1] > here, padded[y + 1, x - 1] > here
            south, south_east = padded[y + 1, x] > here, padded[y + 1, x + 1] > here
            weights[y, x] = (
                (west + north_west + north >= 2) * 1
                + (north + north_east + east >= 2) * 1
                + (east + south_east + south >= 2) * 1
                + (south + south_west + west >= 2) * 1
            )
    return weights

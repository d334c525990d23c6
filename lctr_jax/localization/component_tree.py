"""The connected components of every threshold set of a grey-level image, in one pass over its pixels.

Pixels join from the highest level to the lowest, each the component of a neighbour that is there already, or
several, which it unites (union-find). Compiled by Numba; all compiled functions are in this file, because
Numba's cache overlooks changes in another one.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Int, UInt8
from numba import njit

from lctr_jax.localization.neighborhoods import AREA_GAIN, CONTACTS, RING

_LEFT, _TOP, _RIGHT, _BOTTOM, _AREA, _FIRST, _LOW, _HIGH = range(8)


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
    table = _join_pixels(np.ascontiguousarray(levels), *CONTACTS[diagonal])
    return Components(table[:, :4], table[:, _AREA], table[:, _FIRST], table[:, _LOW], table[:, _HIGH])


@njit(cache=True, nogil=True)
@no_type_check
def _join_pixels(levels, num_contacts, contacts):
    """Lists components as rows (_LEFT, ..., _HIGH).

    The image is padded and walked as a flat array, a power of two wide, which spares a division a pixel.
    Indices are unsigned, which spares Numba the question whether they are negative.
    """
    shift = 1
    while (1 << shift) < levels.shape[1] + 2:
        shift += 1
    order, starts = _sort_pixels(levels, shift)
    masks = _find_earlier_neighbors(levels, shift).ravel()
    steps = np.array([(down << shift) + right for down, right in RING]).astype(np.uint64)
    labels = np.empty(masks.size, np.uint32)
    parents = np.empty(levels.size // 2 + 1, np.uint32)
    components, num_components = np.empty((parents.size, 8), np.int32), 0
    rows, num_rows = np.empty((levels.size, 8), np.int32), 0
    for level in range(255, 0, -1):
        for index in range(starts[level], starts[level + 1]):
            pixel = np.uint64(order[index])
            mask = np.uint64(masks[pixel])
            if num_contacts[mask] == 0:
                label = np.uint64(num_components)
                parents[label] = label
                _start_component(components[label], level)
                num_components += 1
            else:
                label = _find_root(parents, labels[pixel + steps[contacts[mask, 0]]])
                num_rows = _record(components[label], level, rows, num_rows)
            for contact in range(1, num_contacts[mask]):
                other = _find_root(parents, labels[pixel + steps[contacts[mask, contact]]])
                if other != label:
                    num_rows = _record(components[other], level, rows, num_rows)
                    _merge(components[label], components[other])
                    parents[other] = label
            labels[pixel] = label
            _add_pixel(components[label], np.int64(pixel), shift, AREA_GAIN[mask])
    for label in range(num_components):
        if parents[label] == label:
            num_rows = _record(components[label], 0, rows, num_rows)
    return rows[:num_rows].copy()


@njit(cache=True)
@no_type_check
def _sort_pixels(levels, shift):
    """Padded indices by level, in raster order within one, and where each level starts: a counting sort."""
    height, width = levels.shape
    starts = np.zeros(257, np.int64)
    for level in levels.ravel():
        starts[level + 1] += 1
    starts = np.cumsum(starts)
    ends = starts.copy()
    order = np.empty(levels.size, np.uint32)
    for row in range(height):
        for column in range(width):
            level = levels[row, column]
            order[ends[level]] = ((row + 1) << shift) + column + 1
            ends[level] += 1
    return order, starts


@njit(cache=True)
@no_type_check
def _find_earlier_neighbors(levels, shift):
    """Masks of the neighbours that join before a pixel: higher ones, and equal ones earlier in raster order.

    Free of branches, so that the compiler takes many pixels at a time.
    """
    height, width = levels.shape
    padded = np.zeros((height + 2, 1 << shift), np.uint8)
    padded[1:-1, 1 : width + 1] = levels
    masks = np.zeros(padded.shape, np.uint8)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            here = padded[y, x]
            masks[y, x] = (
                (padded[y - 1, x - 1] >= here) * 1
                | (padded[y - 1, x] >= here) * 2
                | (padded[y - 1, x + 1] >= here) * 4
                | (padded[y, x + 1] > here) * 8
                | (padded[y + 1, x + 1] > here) * 16
                | (padded[y + 1, x] > here) * 32
                | (padded[y + 1, x - 1] > here) * 64
                | (padded[y, x - 1] >= here) * 128
            )
    return masks


@njit(cache=True)
@no_type_check
def _find_root(parents, label):
    root = np.uint64(label)
    while parents[root] != root:
        parents[root] = parents[parents[root]]  # halves the way for the next one
        root = np.uint64(parents[root])
    return root


@njit(cache=True, inline="always")  # as a call it would take four times as long as all the rest
@no_type_check
def _record(component, level, rows, num_rows):
    """Writes down a component that is about to change at a level below its own."""
    if component[_HIGH] == level:
        return num_rows
    rows[num_rows] = component
    rows[num_rows, _LOW] = level
    rows[num_rows, _HIGH] -= 1  # the pixels of level v are there below cut v
    component[_HIGH] = level
    return num_rows + 1


@njit(cache=True)
@no_type_check
def _start_component(component, level):
    component[_LEFT:_RIGHT] = 1 << 30
    component[_RIGHT:_FIRST] = 0
    component[_FIRST] = 1 << 30
    component[_HIGH] = level


@njit(cache=True)
@no_type_check
def _add_pixel(component, pixel, shift, area):  # branches, rarely taken, beat storing a minimum each time
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
    component[_AREA] += area


@njit(cache=True)
@no_type_check
def _merge(component, other):
    for index in (_LEFT, _TOP, _FIRST):
        component[index] = min(component[index], other[index])
    for index in (_RIGHT, _BOTTOM):
        component[index] = max(component[index], other[index])
    component[_AREA] += other[_AREA]

"""Connected components at every threshold of a gray-level image, in one pass over its pixels.

Pixels are added from the highest level to the lowest. Each starts a component, joins that of a neighbor, or
merges several (union-find). Compiled by Numba; all compiled functions are in this file, because Numba's cache
does not notice changes in other files.
"""

import threading
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Int, UInt8
from numba import njit

from lctr_jax.host.compilation import compiled
from lctr_jax.localization.neighborhoods import AREA_GAIN, CONTACTS, RING

_LEFT, _RIGHT, _FIRST, _LAST, _AREA, _HIGH = range(6)
"""Fields of a component: outermost columns, first and last pixel, twice its area, lowest level."""

_ONE, _MASK_BITS, _MASK = np.uint64(1), np.uint64(8), np.uint64(255)


class Components(NamedTuple):
    """Components of the sets `levels > cut`, each with the range of cuts in which it does not change.

    Attributes:
        rectangles_xyxy: half-open bounding rectangles.
        double_area: twice the area of the polygon through the outermost pixel centers, without holes, in
            pixels.
        first_pixel: a number that increases with the raster position of the component's first pixel.
        first_cut: lowest cut of the range.
        last_cut: highest cut of the range, inclusive.
    """

    rectangles_xyxy: Int[np.ndarray, "components 4"]
    double_area: Int[np.ndarray, " components"]
    first_pixel: Int[np.ndarray, " components"]
    first_cut: Int[np.ndarray, " components"]
    last_cut: Int[np.ndarray, " components"]


def find_components(levels: UInt8[np.ndarray, "height width"], *, diagonal: bool) -> Components:
    """Return the components of `levels > cut` at every cut from 0 to 254.

    Args:
        levels: gray levels.
        diagonal: whether pixels that touch at a corner are connected (`double_area` assumes this).
    """
    height, width = levels.shape
    shift = (width + 1).bit_length()
    workspace = _borrow_workspace(levels.size, (height + 2) << shift)
    # A single memory layout, so that Numba compiles once.
    table = _join_pixels(np.ascontiguousarray(levels), shift, *CONTACTS[diagonal], AREA_GAIN, *workspace)
    return Components(table[:, :4], table[:, 4], table[:, 5], table[:, 6], table[:, 7])


class _Workspace(NamedTuple):
    """A thread's work arrays, reused for every image: allocating them takes a quarter of the time."""

    order: np.ndarray
    labels: np.ndarray
    parents: np.ndarray
    components: np.ndarray
    rows: np.ndarray


_thread = threading.local()


def _borrow_workspace(num_pixels: int, num_padded: int) -> _Workspace:
    workspace = getattr(_thread, "workspace", None)
    if workspace is None or (len(workspace.order), len(workspace.labels)) != (num_pixels, num_padded):
        most = num_pixels // 2 + 1  # components start at pixels that share no side
        workspace = _thread.workspace = _Workspace(
            order=np.empty(num_pixels, np.uint64),
            labels=np.empty(num_padded, np.uint32),
            parents=np.empty(most, np.uint32),
            components=np.empty((most, 6), np.int32),
            rows=np.empty((num_pixels, 8), np.int32),
        )
    return workspace


@compiled(nogil=True)
@no_type_check
def _join_pixels(levels, shift, num_contacts, contacts, area_gain, order, labels, parents, components, rows):
    """List components as rows: rectangle, double area, first pixel, first and last cut.

    The image is padded to a width of `1 << shift` and indexed as a flat array, which replaces divisions by
    shifts. Indices are unsigned, so that Numba does not check for negative ones.
    """
    masks = _find_earlier_neighbors(levels, shift)
    starts = _sort_pixels(levels, masks, shift, order)
    steps = _find_steps(num_contacts, contacts, shift)
    num_components, num_rows = 0, 0
    for level in range(255, 0, -1):
        for index in range(starts[level], starts[level + 1]):
            pixel, mask = order[index] >> _MASK_BITS, order[index] & _MASK
            if num_contacts[mask] == 0:
                label = np.uint64(num_components)
                parents[label] = label
                _start_component(components[label], level)
                num_components += 1
            else:
                label = _find_root(parents, labels[pixel + steps[mask, 0]])
                num_rows = _record(components[label], level, shift, rows, num_rows)
            for contact in range(1, num_contacts[mask]):
                other = _find_root(parents, labels[pixel + steps[mask, contact]])
                if other != label:
                    num_rows = _record(components[other], level, shift, rows, num_rows)
                    _merge(components[label], components[other])
                    parents[other] = label
            labels[pixel] = label
            _add_pixel(components[label], pixel, shift, area_gain[mask])
    for label in range(num_components):
        if parents[label] == label:
            num_rows = _record(components[label], 0, shift, rows, num_rows)
    return rows[:num_rows].copy()


@njit
@no_type_check
def _find_steps(num_contacts, contacts, shift):
    """Return the steps to one neighbor of each adjacent component, by mask."""
    steps = np.zeros(contacts.shape, np.uint64)
    for mask in range(len(contacts)):
        for contact in range(num_contacts[mask]):
            down, right = RING[contacts[mask, contact]]
            steps[mask, contact] = (down << shift) + right
    return steps


@njit
@no_type_check
def _sort_pixels(levels, masks, shift, order):
    """Sort padded indices by level, in raster order within a level; return the start of each level.

    A counting sort. A pixel's mask is stored in the lowest bits, since both are used together.
    """
    height, width = levels.shape
    starts = np.zeros(257, np.int64)
    for row in range(height):
        for column in range(width):
            starts[levels[row, column] + 1] += 1
    starts = np.cumsum(starts)
    ends = starts.copy()
    for row in range(height):
        for column in range(width):
            level = levels[row, column]
            pixel = ((row + 1) << shift) + column + 1
            order[ends[level]] = (pixel << 8) | masks[row + 1, column + 1]
            ends[level] += 1
    return starts


@njit
@no_type_check
def _find_earlier_neighbors(levels, shift):
    """Return masks of the neighbors added before a pixel: higher ones, and earlier ones of the same level.

    Free of branches, so that the compiler can vectorize it.
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


@njit
@no_type_check
def _find_root(parents, label):
    root = np.uint64(label)
    while parents[root] != root:
        parents[root] = parents[parents[root]]  # path halving
        root = np.uint64(parents[root])
    return root


@njit(inline="always")  # a call per pixel would take four times as long as everything else
@no_type_check
def _record(component, level, shift, rows, num_rows):
    """Append a row for a component that is about to change, unless it began at this level."""
    if component[_HIGH] == level:
        return num_rows
    row = rows[num_rows]
    row[0] = component[_LEFT]
    row[1] = (component[_FIRST] >> shift) - 1
    row[2] = component[_RIGHT] + 1
    row[3] = component[_LAST] >> shift
    row[4] = component[_AREA]
    row[5] = component[_FIRST]
    row[6] = level
    row[7] = component[_HIGH] - 1  # pixels of level v are foreground below cut v
    component[_HIGH] = level
    return num_rows + 1


@njit
@no_type_check
def _start_component(component, level):
    component[_LEFT] = component[_FIRST] = 1 << 30
    component[_RIGHT] = component[_LAST] = component[_AREA] = 0
    component[_HIGH] = level


@njit
@no_type_check
def _add_pixel(component, pixel, shift, area):  # unconditional stores are faster than mispredicted branches
    column, pixel = np.int32(pixel & ((_ONE << shift) - _ONE)) - np.int32(1), np.int32(pixel)
    component[_LEFT] = min(component[_LEFT], column)
    component[_RIGHT] = max(component[_RIGHT], column)
    component[_FIRST] = min(component[_FIRST], pixel)
    component[_LAST] = max(component[_LAST], pixel)
    component[_AREA] += area


@njit
@no_type_check
def _merge(component, other):
    component[_LEFT] = min(component[_LEFT], other[_LEFT])
    component[_RIGHT] = max(component[_RIGHT], other[_RIGHT])
    component[_FIRST] = min(component[_FIRST], other[_FIRST])
    component[_LAST] = max(component[_LAST], other[_LAST])
    component[_AREA] += other[_AREA]

"""Tables over the 256 possible states of a pixel's eight neighbors.

Neighbors are numbered clockwise from the north-west; bit k of a mask is set if neighbor k is in the set.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Row and column steps to the eight neighbors."""

_CORNERS = ((7, 0, 1), (1, 2, 3), (3, 4, 5), (5, 6, 7))
"""The three neighbors that form a 2 x 2 square with the pixel, for each corner."""


class Contacts(NamedTuple):
    """One neighbor of each component adjacent to the pixel, as far as the 3 x 3 neighborhood shows.

    Attributes:
        number: number of components, by mask.
        neighbors: their indices in `RING`, by mask; unused entries are zero.
    """

    number: UInt8[np.ndarray, " masks"]
    neighbors: UInt8[np.ndarray, "masks 4"]


def _tabulate_contacts(*, diagonal: bool) -> Contacts:
    number, neighbors = np.zeros(256, np.uint8), np.zeros((256, 4), np.uint8)
    touching = [
        (first, second)
        for first, second in combinations(range(8), 2)
        if _are_neighbors(RING[first], RING[second], diagonal=diagonal)
    ]
    for mask in range(256):
        group = list(range(8))
        for first, second in touching * 8:  # often enough for the smallest index to propagate
            if mask >> first & 1 and mask >> second & 1:
                group[first] = group[second] = min(group[first], group[second])
        meeting = [k for k in range(8) if mask >> k & 1 and (diagonal or k % 2)]
        chosen = [k for k in meeting if k == min(j for j in meeting if group[j] == group[k])]
        number[mask] = len(chosen)
        neighbors[mask, : len(chosen)] = chosen
    return Contacts(number, neighbors)


def _are_neighbors(first: tuple[int, int], second: tuple[int, int], *, diagonal: bool) -> bool:
    down, right = abs(first[0] - second[0]), abs(first[1] - second[1])
    return max(down, right) == 1 if diagonal else down + right == 1


CONTACTS = {diagonal: _tabulate_contacts(diagonal=diagonal) for diagonal in (False, True)}
"""Contacts under 4-connectivity (False) and 8-connectivity (True)."""

AREA_GAIN = np.array(
    [sum(sum(mask >> k & 1 for k in corner) >= 2 for corner in _CORNERS) for mask in range(256)], np.uint8
)
"""By mask: twice the area that the polygon through a set's outermost pixel centers gains with a pixel.

The polygon covers half of a 2 x 2 square of centers if three are in the set, and all of it if four are.
"""

"""The two evaluation protocols as data: what a number means depends on nothing else."""

from dataclasses import dataclass
from typing import Literal

import cv2

ProtocolName = Literal["lctr", "wsoleval"]
MapClass = Literal["predicted", "label"]


@dataclass(frozen=True)
class Protocol:
    """How a score map becomes boxes, and how boxes are compared.

    Attributes:
        name: the protocol's name, to be printed beside every number.
        interpolation: OpenCV's flag for enlarging the map to the frame.
        map_class: whose map is boxed by default, the predicted or the ground-truth class's.
        closed: boxes are [first, last] pixel, clipped to the frame's last pixel, and IoU counts
            last - first + 1; otherwise boxes are half-open, and IoU counts plain widths.
        full_frame_when_empty: the box of a map without foreground, the full frame or pixel (0, 0).
    """

    name: ProtocolName
    interpolation: int
    map_class: MapClass
    closed: bool
    full_frame_when_empty: bool


LCTR = Protocol(
    name="lctr",
    interpolation=cv2.INTER_LINEAR,
    map_class="predicted",
    closed=False,
    full_frame_when_empty=True,
)
"""The published evaluation of LCTR (AAAI 2022)."""

WSOLEVAL = Protocol(
    name="wsoleval",
    interpolation=cv2.INTER_CUBIC,
    map_class="label",
    closed=True,
    full_frame_when_empty=False,
)
"""Choe et al., Evaluating weakly supervised object localization methods right (CVPR 2020, TPAMI 2022)."""


def get_protocol(name: str) -> Protocol:
    """Returns the protocol of that name; ValueError for another."""
    match name:
        case "lctr":
            return LCTR
        case "wsoleval":
            return WSOLEVAL
    raise ValueError(f"protocol: got {name!r}, expected 'lctr' or 'wsoleval'")

"""The two evaluation protocols as data."""

from dataclasses import dataclass
from typing import Literal

import cv2

ProtocolName = Literal["lctr", "wsoleval"]
MapClass = Literal["predicted", "label"]


@dataclass(frozen=True)
class Protocol:
    """How score maps become boxes and how boxes are compared.

    Attributes:
        name: shown with every result.
        interpolation: OpenCV's flag for resizing the map to the frame.
        map_class: whose map is used by default, that of the predicted class or of the true class (the label).
        closed: boxes are [first, last] pixel, clipped to the frame's last pixel, and widths are last - first
            + 1; otherwise boxes are half-open.
        full_frame_when_empty: a map without foreground gives the full frame; otherwise pixel (0, 0).
    """

    name: ProtocolName
    interpolation: int
    map_class: MapClass
    closed: bool
    full_frame_when_empty: bool


LCTR_PROTOCOL = Protocol(
    name="lctr",
    interpolation=cv2.INTER_LINEAR,
    map_class="predicted",
    closed=False,
    full_frame_when_empty=True,
)
"""The published evaluation of LCTR (AAAI 2022)."""

WSOLEVAL_PROTOCOL = Protocol(
    name="wsoleval",
    interpolation=cv2.INTER_CUBIC,
    map_class="label",
    closed=True,
    full_frame_when_empty=False,
)
"""Choe et al., Evaluating weakly supervised object localization methods right (CVPR 2020, TPAMI 2022)."""


def get_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ValueError: there is no such protocol.
    """
    match name:
        case "lctr":
            return LCTR_PROTOCOL
        case "wsoleval":
            return WSOLEVAL_PROTOCOL
    raise ValueError(f"protocol: got {name!r}, expected 'lctr' or 'wsoleval'")

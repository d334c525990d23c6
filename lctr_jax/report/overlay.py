"""Draw localization maps and boxes over images."""

import cv2
import numpy as np
from jaxtyping import Float, Num, UInt8

BOX_COLORS = (
    (255, 64, 208),
    (25, 227, 255),
    (255, 225, 77),
    (77, 255, 136),
    (255, 154, 60),
    (185, 180, 255),
)
"""RGB of the boxes of an image's classes, in order; `templates/page.css` has the same."""

PREDICTED, TRUE = BOX_COLORS[0], (255, 255, 255)
"""RGB: magenta and white, which are not in the color map and distinguishable for color-blind readers."""

_OPACITY = 0.6  # of opaque colors
_FADE = 0.5  # fraction of the map's range below which colors are partly transparent
_EDGE = (0, 0, 0)
_LEVELS = np.arange(256, dtype=np.uint8)
_TURBO = cv2.applyColorMap(_LEVELS[:, None], cv2.COLORMAP_TURBO)[..., ::-1].copy()  # RGB of every level
_ALPHA = np.minimum(_LEVELS / 255 / _FADE, 1)


def color_map(
    score_map: Float[np.ndarray, "grid_h grid_w"], *, width: int, height: int
) -> UInt8[np.ndarray, "height width 4"]:
    """Return the map in RGBA: dark blue over green to dark red, more transparent for lower values.

    It is resized bilinearly and scaled to its own range; a map that is flat or not finite is fully
    transparent.

    Args:
        score_map: any resolution and range.
        width: of the result in pixels.
        height: of the result in pixels.
    """
    levels = _map_levels(score_map, width=width, height=height)
    return np.dstack([cv2.applyColorMap(levels, _TURBO), cv2.LUT(levels, (_ALPHA * 255).astype(np.uint8))])


def draw_map(
    image: UInt8[np.ndarray, "height width 3"], score_map: Float[np.ndarray, "grid_h grid_w"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the map's colors over the image."""
    height, width = image.shape[:2]
    levels = _map_levels(score_map, width=width, height=height)
    opacity = cv2.LUT(levels, (_ALPHA * _OPACITY).astype(np.float32))
    colors = cv2.applyColorMap(levels, _TURBO)
    return cv2.blendLinear(np.ascontiguousarray(image), colors, 1 - opacity, opacity)


def _map_levels(
    score_map: Float[np.ndarray, "grid_h grid_w"], *, width: int, height: int
) -> UInt8[np.ndarray, "height width"]:
    """Resize the map and scale it to 0 to 255; zeros if it is flat or not finite."""
    enlarged = cv2.resize(score_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    low, high, *_ = cv2.minMaxLoc(enlarged)
    if not np.isfinite(enlarged).all() or low == high:
        return np.zeros_like(enlarged, np.uint8)
    return ((enlarged - np.float32(low)) * np.float32(255 / (high - low))).astype(np.uint8)


def reduce_to(image: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """Reduce an image to a longest side of `side` pixels; smaller images stay as they are."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def draw_boxes(
    image: UInt8[np.ndarray, "height width 3"],
    boxes_xyxy: Num[np.ndarray, "boxes 4"],
    color: tuple[int, int, int],
    *,
    thickness: int = 2,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw boxes (in pixels, half-open) on a copy of the image, with a dark edge."""
    drawn = np.ascontiguousarray(image).copy()
    for corners in np.round(boxes_xyxy).astype(int).tolist():
        x0, y0, x1, y1 = corners
        for ink, width in ((_EDGE, thickness + 2), (color, thickness)):
            cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), ink, width)
    return drawn

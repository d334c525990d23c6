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
    enlarged = cv2.resize(score_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    spread = float(np.ptp(enlarged))
    usable = np.isfinite(spread) and spread > 0
    levels = (enlarged - enlarged.min()) / spread if usable else np.zeros_like(enlarged)
    colors = cv2.applyColorMap((levels * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.dstack([colors, (np.minimum(levels / _FADE, 1) * 255).astype(np.uint8)])


def draw_map(
    image: UInt8[np.ndarray, "height width 3"], score_map: Float[np.ndarray, "grid_h grid_w"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the map's colors over the image."""
    height, width = image.shape[:2]
    colors = color_map(score_map, width=width, height=height)
    opacity = colors[..., 3:] / np.float32(255 / _OPACITY)
    return (image * (1 - opacity) + colors[..., :3] * opacity).round().astype(np.uint8)


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

"""A localization map and boxes drawn over an image."""

import cv2
import numpy as np
from jaxtyping import Float, Num, UInt8

PREDICTED, TRUE = (255, 64, 208), (255, 255, 255)
"""RGB: magenta and white, which the color map of the heat lacks, told apart by every kind of eye."""

_OPACITY = 0.6  # of the colors where they are not clear
_FADE = 0.5  # share of the map's range below which they let the image through
_EDGE = (0, 0, 0)


def color_map(
    score_map: Float[np.ndarray, "grid_h grid_w"], *, width: int, height: int
) -> UInt8[np.ndarray, "height width 4"]:
    """The map in colors, RGBA: dark blue over green to dark red, and the clearer the lower it is.

    It is enlarged bilinearly and stretched to its own range; one that is flat or not finite is all clear.
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
    """The image under the map's colors."""
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
    """A copy of the image with boxes in its pixels, outlined inside their far ends, with a dark edge."""
    drawn = np.ascontiguousarray(image).copy()
    for corners in np.round(boxes_xyxy).astype(int).tolist():
        x0, y0, x1, y1 = corners
        for ink, width in ((_EDGE, thickness + 2), (color, thickness)):
            cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), ink, width)
    return drawn

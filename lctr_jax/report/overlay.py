"""A localization map and boxes drawn over an image."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

PREDICTED, TRUE = (255, 196, 0), (64, 255, 64)  # RGB: amber and green, apart for every kind of eye
_OPACITY = 0.45


def draw_map(
    image: UInt8[np.ndarray, "height width 3"], score_map: Float[np.ndarray, "grid_h grid_w"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image under the map, enlarged bilinearly and stretched to its own range; a flat map is all cold."""
    height, width = image.shape[:2]
    enlarged = cv2.resize(score_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    spread = float(np.ptp(enlarged))
    stretched = (enlarged - enlarged.min()) / spread if spread > 0 else np.zeros_like(enlarged)
    heat = cv2.applyColorMap((stretched * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return cv2.addWeighted(image, 1 - _OPACITY, np.ascontiguousarray(heat), _OPACITY, 0)


def draw_boxes(
    image: UInt8[np.ndarray, "height width 3"],
    boxes_xyxy: Float[np.ndarray, "boxes 4"],
    color: tuple[int, int, int],
    *,
    thickness: int = 2,
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of the image with boxes in its pixels, outlined inside their far ends."""
    drawn = np.ascontiguousarray(image).copy()
    for x0, y0, x1, y1 in np.round(boxes_xyxy).astype(int):
        # Python's own integers, which is what OpenCV takes.
        cv2.rectangle(drawn, (int(x0), int(y0)), (int(x1) - 1, int(y1) - 1), color, thickness)
    return drawn

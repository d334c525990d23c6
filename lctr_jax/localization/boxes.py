"""Intersection over union of boxes in both conventions of the protocols."""

from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float, Int, Num

from lctr_jax.host.compilation import vectorized
from lctr_jax.localization.protocols import Protocol


def box_iou(
    boxes_xyxy: Num[np.ndarray, "*#batch 4"], other_xyxy: Num[np.ndarray, "*#batch 4"], *, closed: bool
) -> Float[np.ndarray, "*#batch"]:
    """Return the IoU of boxes, broadcasting.

    Args:
        boxes_xyxy: corners in pixels.
        other_xyxy: corners in pixels.
        closed: if true, the far corner is the last pixel (width = x1 - x0 + 1); otherwise one past it. The
            IoU is 0 if the union is empty.

    Examples:
        >>> left, middle = np.array([[0, 0, 4, 4]]), np.array([[2, 0, 6, 4]])
        >>> box_iou(left, middle, closed=False).round(4).tolist()  # 2 x 4 pixels of 24
        [0.3333]
        >>> box_iou(left, middle, closed=True).round(4).tolist()  # 3 x 5 of 35
        [0.4286]
    """
    first, second = (np.asarray(boxes, np.float64) for boxes in (boxes_xyxy, other_xyxy))
    x, y, right, bottom = (first[..., corner] for corner in range(4))
    other_x, other_y, other_right, other_bottom = (second[..., corner] for corner in range(4))
    ious: Any = _iou(x, y, right, bottom, other_x, other_y, other_right, other_bottom, closed)
    return ious


@vectorized("float64(" + 8 * "float64, " + "boolean)")
@no_type_check
def _iou(left, top, right, bottom, other_left, other_top, other_right, other_bottom, closed):
    """Compute one IoU; compiled, so that thousands of boxes need no temporary arrays."""
    width = max(min(right, other_right) - max(left, other_left) + closed, 0.0)
    height = max(min(bottom, other_bottom) - max(top, other_top) + closed, 0.0)
    area = (right - left + closed) * (bottom - top + closed)
    other_area = (other_right - other_left + closed) * (other_bottom - other_top + closed)
    union = area + other_area - width * height
    return width * height / union if union > 0 else 0.0


def box_intersection(
    boxes_xyxy: Num[np.ndarray, "*#batch 4"], other_xyxy: Num[np.ndarray, "*#batch 4"], *, closed: bool
) -> Float[np.ndarray, "*#batch"]:
    """Return the area in square pixels of the intersection of boxes, broadcasting."""
    first, second = np.asarray(boxes_xyxy, np.float64), np.asarray(other_xyxy, np.float64)
    width = np.minimum(first[..., 2], second[..., 2]) - np.maximum(first[..., 0], second[..., 0]) + closed
    height = np.minimum(first[..., 3], second[..., 3]) - np.maximum(first[..., 1], second[..., 1]) + closed
    return np.maximum(width, 0) * np.maximum(height, 0)


def box_area(boxes_xyxy: Num[np.ndarray, "*batch 4"], *, closed: bool) -> Float[np.ndarray, "*batch"]:
    """Return the area of boxes in square pixels."""
    boxes = np.asarray(boxes_xyxy, np.float64)
    return (boxes[..., 2] - boxes[..., 0] + closed) * (boxes[..., 3] - boxes[..., 1] + closed)


def best_iou(
    boxes_xyxy: Num[np.ndarray, "boxes 4"], truth_xyxy: Num[np.ndarray, "truths 4"], *, closed: bool
) -> Float[np.ndarray, " boxes"]:
    """Return each box's best IoU with any true box, 0 if there are none."""
    ious = box_iou(boxes_xyxy[:, None], truth_xyxy[None], closed=closed)
    return ious.max(axis=1, initial=0.0)


def protocol_boxes(
    rectangles_xyxy: Num[np.ndarray, "*batch 4"], *, protocol: Protocol, image_size: int
) -> Num[np.ndarray, "*batch 4"]:
    """Convert half-open bounding rectangles to the protocol's box convention.

    Args:
        rectangles_xyxy: [x, y, x + w, y + h] in pixels; all zeros where there is no foreground.
        protocol: determines the far end (clipped to the last pixel or not) and the box of an empty
            foreground.
        image_size: side of the frame in pixels.
    """
    if protocol.closed:
        return np.minimum(rectangles_xyxy, image_size - 1)
    full = np.array([0, 0, image_size, image_size], rectangles_xyxy.dtype)
    empty = (rectangles_xyxy[..., 2] == 0)[..., None]
    return np.where(empty, full, rectangles_xyxy) if protocol.full_frame_when_empty else rectangles_xyxy


def best_iou_per_image(
    boxes_xyxy: Num[np.ndarray, "boxes 4"],
    truth_xyxy: Num[np.ndarray, "truths 4"],
    counts: Int[np.ndarray, " images"],
    *,
    closed: bool,
) -> Float[np.ndarray, "boxes images_with_truth"]:
    """Return every box's best IoU in every image that has true boxes.

    Args:
        boxes_xyxy: boxes evaluated on all images.
        truth_xyxy: the images' true boxes, concatenated.
        counts: number of true boxes of each image.
        closed: see `box_iou`.
    """
    starts = (np.cumsum(counts) - counts)[counts > 0]
    if not len(starts):
        return np.zeros((len(boxes_xyxy), 0))
    return np.maximum.reduceat(box_iou(boxes_xyxy[:, None], truth_xyxy[None], closed=closed), starts, axis=1)

"""Error types of boxes: one per image, by the first rule that applies."""

from typing import Literal

import numpy as np
from jaxtyping import Num

from lctr_jax.localization.boxes import box_area, box_intersection

ErrorType = Literal["correct", "wrong_class", "multi_instance", "part", "more", "other"]
ERROR_TYPES: tuple[ErrorType, ...] = ("correct", "wrong_class", "multi_instance", "part", "more", "other")

COVERED_INSTANCE = 0.3
MOSTLY_INSIDE = 0.5
MOSTLY_COVERED = 0.7


def classify_error(
    box_xyxy: Num[np.ndarray, "4"],
    truth_xyxy: Num[np.ndarray, "truths 4"],
    *,
    iou: float,
    top1_correct: bool,
    closed: bool,
) -> ErrorType:
    """Classify the error of a box (after the error analysis of TS-CAM, ICCV 2021).

    The first of these that applies:

    - `correct`: IoU >= 0.5 and the class is right (Top-1 Loc);
    - `wrong_class`: IoU >= 0.5 and the class is wrong (with `correct`: GT-known Loc);
    - `multi_instance`: the box covers at least 0.3 of each of two or more true boxes;
    - `part`: more than 0.5 of the box lies inside one true box;
    - `more`: the box covers more than 0.7 of one true box;
    - `other`.

    Args:
        box_xyxy: predicted box in pixels.
        truth_xyxy: true boxes in pixels.
        iou: best IoU of the predicted box with a true box.
        top1_correct: whether the predicted class is right.
        closed: see `boxes.box_iou`.
    """
    if iou >= 0.5:
        return "correct" if top1_correct else "wrong_class"
    box = box_xyxy[None]
    overlap = box_intersection(box, truth_xyxy, closed=closed)
    truth_area = box_area(truth_xyxy, closed=closed)
    covered = np.divide(overlap, truth_area, out=np.zeros_like(overlap), where=truth_area > 0)
    inside = overlap / box_area(box, closed=closed)
    if (covered >= COVERED_INSTANCE).sum() >= 2:
        return "multi_instance"
    if (inside > MOSTLY_INSIDE).any():
        return "part"
    if (covered > MOSTLY_COVERED).any():
        return "more"
    return "other"

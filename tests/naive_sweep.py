"""Both protocols' boxes as their authors compute them: one `findContours` call per threshold."""

import cv2
import numpy as np


def contours_at(levels, cut):
    contours, _ = cv2.findContours((levels > cut).astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    return contours


def rectangle(contour):
    x, y, width, height = cv2.boundingRect(contour)
    return (x, y, x + width, y + height)


def largest_at(levels, cut):
    contours = contours_at(levels, cut)
    return rectangle(max(contours, key=cv2.contourArea)) if contours else (0, 0, 0, 0)


def all_at(levels, cut):
    return {rectangle(contour) for contour in contours_at(levels, cut)}


def iou_plus_one(first, second):
    """Choe et al.'s IoU of two boxes whose far corner is their last pixel."""
    width = max(min(first[2], second[2]) - max(first[0], second[0]) + 1, 0)
    height = max(min(first[3], second[3]) - max(first[1], second[1]) + 1, 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0

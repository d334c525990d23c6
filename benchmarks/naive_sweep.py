"""Threshold sweeps as in published evaluations: 1,000 thresholds with one `findContours` call each."""

from collections.abc import Sequence

import cv2
import numpy as np

from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL

IMAGE_SIZE = 224


def naive_single(score_map: np.ndarray, truth_xyxy: np.ndarray) -> list[float]:
    """Compute the IoU of the largest contour's box at each threshold, under `lctr`."""
    levels = quantize_map(resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=IMAGE_SIZE))
    ious = []
    for tau in np.arange(0, 1, 0.001):
        x, y, width, height = 0, 0, IMAGE_SIZE, IMAGE_SIZE
        if contours := _find_contours(levels, tau):
            x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
        ious.append(_best_iou([(x, y, x + width, y + height)], truth_xyxy, extra=0))
    return ious


def naive_multi(score_map: np.ndarray, truth_xyxy: np.ndarray) -> list[float]:
    """Compute the best IoU of any contour's box at each threshold, under `wsoleval`."""
    levels = quantize_map(resize_map(score_map, protocol=WSOLEVAL_PROTOCOL, image_size=IMAGE_SIZE))
    last = IMAGE_SIZE - 1
    ious = []
    for tau in np.arange(0, 1, 0.001):
        rectangles = [cv2.boundingRect(contour) for contour in _find_contours(levels, tau)]
        boxes = [(x, y, min(x + width, last), min(y + height, last)) for x, y, width, height in rectangles]
        ious.append(_best_iou(boxes or [(0, 0, 0, 0)], truth_xyxy, extra=1))
    return ious


def _find_contours(levels: np.ndarray, tau: float) -> Sequence[np.ndarray]:
    _, foreground = cv2.threshold(levels, int(tau * levels.max()), 255, cv2.THRESH_BINARY)
    return cv2.findContours(foreground, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]


def _best_iou(boxes: list[tuple[int, int, int, int]], truth: np.ndarray, *, extra: int) -> float:
    ours = np.array(boxes)[:, None]
    sides = np.minimum(ours[..., 2:], truth[:, 2:]) - np.maximum(ours[..., :2], truth[:, :2]) + extra
    shared = np.maximum(sides, 0).prod(-1)
    areas = (ours[..., 2:] - ours[..., :2] + extra).prod(-1) + (truth[:, 2:] - truth[:, :2] + extra).prod(-1)
    return float((shared / (areas - shared)).max())

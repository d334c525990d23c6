"""Predictors that never look at the image: what a localizer has to beat, on the same images."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int

from lctr_jax.localization.boxes import best_iou_per_image, protocol_boxes
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import WSOLEVAL, Protocol
from lctr_jax.localization.settings import IOU_LEVELS

PREDICTORS = ("full_image", "centered_box", "centered_gaussian")


class ContentFree:
    """Three content-free predictors, added up over the images of a split.

    The full image is one box. The centered square and the centered Gaussian's box come in all sizes, and the
    best size on the evaluated images is reported: an oracle, as `size_source` says.
    """

    def __init__(self, protocol: Protocol, *, image_size: int = 224, first_box_only: bool = False):
        self._protocol = protocol
        self._first_box_only = first_box_only
        # MaxBoxAcc means wsoleval's boxes and IoU, whatever the geometry; often the two rules are one.
        self._rules = {rule.name: rule for rule in (protocol, WSOLEVAL)}
        self._boxes = {
            (name, predictor): boxes
            for name, rule in self._rules.items()
            for predictor, boxes in _box_families(rule, image_size=image_size).items()
        }
        self._sums = {"images": np.zeros((), np.int64)} | {
            "/".join(key): np.zeros((len(IOU_LEVELS), len(boxes)), np.int64)
            for key, boxes in self._boxes.items()
        }

    def add(self, truth_xyxy: Float[np.ndarray, "boxes 4"], counts: Int[np.ndarray, " images"]) -> None:
        """Counts images: all their true boxes in the frame, end to end, and how many belong to each.

        Images without a box are left out.
        """
        if self._first_box_only:
            starts = np.cumsum(counts) - counts
            truth_xyxy, counts = truth_xyxy[starts[counts > 0]], np.minimum(counts, 1)
        for (rule, predictor), boxes in self._boxes.items():
            ious = best_iou_per_image(boxes, truth_xyxy, counts, closed=self._rules[rule].closed)
            self._sums[f"{rule}/{predictor}"] += np.stack(
                [(ious >= level).sum(axis=1) for level in IOU_LEVELS]
            )
        self._sums["images"] += (counts > 0).sum()

    def sums(self) -> dict[str, np.ndarray]:
        """Returns everything counted so far: integer arrays that add up over hosts."""
        return {name: value.copy() for name, value in self._sums.items()}

    def merge(self, sums: dict[str, np.ndarray]) -> None:
        """Adds the sums of another part of the split."""
        for name, value in self._sums.items():
            value += sums[name]

    def summarize(self) -> dict[str, dict[str, Any]]:
        """Returns each predictor's accuracies in percent, the best size of its family at each IoU level."""
        return {predictor: self._summarize(predictor) for predictor in PREDICTORS}

    def _summarize(self, predictor: str) -> dict[str, Any]:
        boxes = self._boxes[self._protocol.name, predictor]
        accuracy, official = (
            100 * self._sums[f"{rule}/{predictor}"] / max(int(self._sums["images"]), 1)
            for rule in (self._protocol.name, WSOLEVAL.name)
        )
        half = IOU_LEVELS.index(0.5)
        return {
            "gt_known_loc": float(accuracy[half].max()),
            "gt_known_loc_by_iou": {
                str(level): float(row.max()) for level, row in zip(IOU_LEVELS, accuracy, strict=True)
            },
            "max_box_acc": float(official[half].max()),
            "max_box_acc_v2": float(official.max(axis=1).mean()),
            "box_xyxy": boxes[accuracy[half].argmax()].tolist(),
            "size_source": "fixed" if len(boxes) == 1 else "oracle",
        }


def centered_squares(protocol: Protocol, *, image_size: int) -> Int[np.ndarray, "sizes 4"]:
    """Returns centered squares of every even side from 2 to the frame's, as the protocol writes boxes."""
    center = image_size // 2
    half = np.arange(1, center + 1)[:, None]
    squares = np.concatenate([center - half, center - half, center + half, center + half], axis=1)
    return protocol_boxes(squares, protocol=protocol, image_size=image_size)


def centered_gaussian(image_size: int) -> Float[np.ndarray, "height width"]:
    """Returns an isotropic Gaussian score map, standard deviation a quarter of the frame."""
    profile = cv2.getGaussianKernel(image_size, image_size / 4, cv2.CV_32F)
    return profile @ profile.T


def _box_families(protocol: Protocol, *, image_size: int) -> dict[str, Int[np.ndarray, "members 4"]]:
    full = np.array([[0, 0, image_size, image_size]])
    gaussian = boxes_by_cut(centered_gaussian(image_size), protocol=protocol, image_size=image_size)
    return {
        "full_image": protocol_boxes(full, protocol=protocol, image_size=image_size),
        "centered_box": centered_squares(protocol, image_size=image_size),
        "centered_gaussian": np.unique(gaussian, axis=0),
    }

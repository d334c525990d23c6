"""Predictors that never look at the image: what a localizer has to beat, on the same images."""

import cv2
import numpy as np
from jaxtyping import Float, Int

from lctr_jax.localization.boxes import best_iou_per_image
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import Protocol
from lctr_jax.localization.settings import IOU_LEVELS


class ContentFree:
    """Three content-free predictors, added up over the images of a split.

    The full image is one box. The centred square and the centred Gaussian's box come in all sizes, and the
    one best on the evaluated images is reported: an oracle, as its `size_source` says.
    """

    def __init__(self, protocol: Protocol, *, image_size: int = 224, first_box_only: bool = False):
        self._closed = protocol.closed
        self._first_box_only = first_box_only
        squares = centered_squares(protocol, image_size=image_size)
        self._families = {
            "full_image": squares[-1:],
            "centered_box": squares,
            "centered_gaussian": boxes_by_cut(
                centered_gaussian(image_size), protocol=protocol, image_size=image_size
            ),
        }
        shape = (len(IOU_LEVELS),)
        self._hits = {
            name: np.zeros((*shape, len(boxes)), np.int64) for name, boxes in self._families.items()
        }
        self._num_images = np.zeros((), np.int64)

    def add(self, truth_xyxy: Float[np.ndarray, "boxes 4"], counts: Int[np.ndarray, " images"]) -> None:
        """Counts images: all their true boxes in the frame, end to end, and how many belong to each.

        Images without a box are left out.
        """
        starts = np.cumsum(counts) - counts
        if self._first_box_only:
            truth_xyxy, counts = truth_xyxy[starts[counts > 0]], np.minimum(counts, 1)
        for name, boxes in self._families.items():
            ious = best_iou_per_image(boxes, truth_xyxy, counts, closed=self._closed)
            self._hits[name] += np.stack([(ious >= level).sum(axis=1) for level in IOU_LEVELS])
        self._num_images += (counts > 0).sum()

    def sums(self) -> dict[str, np.ndarray]:
        """Returns everything counted so far, integer arrays."""
        return {name: hits.copy() for name, hits in self._hits.items()} | {"images": self._num_images.copy()}

    def merge(self, sums: dict[str, np.ndarray]) -> None:
        """Adds another host's sums."""
        for name, hits in self._hits.items():
            hits += sums[name]
        self._num_images += sums["images"]

    def summarize(self) -> dict[str, dict[str, object]]:
        """Returns each predictor's accuracies in percent, best size of its family at each IoU level."""
        return {name: self._summarize(name) for name in self._families}

    def _summarize(self, name: str) -> dict[str, object]:
        accuracy = 100 * self._hits[name] / max(int(self._num_images), 1)
        half = IOU_LEVELS.index(0.5)
        return {
            "gt_known_loc": float(accuracy[half].max()),
            "accuracy_by_iou": {
                str(level): float(row.max()) for level, row in zip(IOU_LEVELS, accuracy, strict=True)
            },
            "mean_over_iou": float(accuracy.max(axis=1).mean()),
            "box_xyxy": self._families[name][accuracy[half].argmax()].tolist(),
            "size_source": "fixed" if len(self._families[name]) == 1 else "oracle",
        }


def centered_squares(protocol: Protocol, *, image_size: int) -> Int[np.ndarray, "sizes 4"]:
    """Returns centred squares of every even side from 2 to the frame's, as the protocol writes boxes."""
    half = np.arange(1, image_size // 2 + 1)[:, None]
    center = image_size // 2
    squares = np.concatenate([center - half, center - half, center + half, center + half], axis=1)
    return np.minimum(squares, image_size - 1) if protocol.closed else squares


def centered_gaussian(image_size: int) -> Float[np.ndarray, "height width"]:
    """Returns an isotropic Gaussian score map, standard deviation a quarter of the frame."""
    profile = cv2.getGaussianKernel(image_size, image_size / 4, cv2.CV_32F)
    return profile @ profile.T

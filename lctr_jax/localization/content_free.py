"""Content-free baselines: predictors that never look at the image, evaluated on the same images."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int, Int64, UInt8

from lctr_jax.localization.boxes import best_iou_per_image, protocol_boxes
from lctr_jax.localization.maps import resize_map, tau_grid
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.pixels import average_precision, count_scores, score_bins
from lctr_jax.localization.protocols import WSOLEVAL_PROTOCOL, Protocol
from lctr_jax.localization.settings import IOU_LEVELS

PREDICTORS = ("full_image", "centered_box", "centered_gaussian")


@dataclass(frozen=True, kw_only=True)
class ContentFreeSums:
    """Integer sums over images and hosts.

    Attributes:
        images: number of images with true boxes.
        located: of these, the number that each box of every family localizes, by IoU level; families
            concatenated.
        located_wsoleval: the same with wsoleval's boxes and IoU.
        full_image_pixels: for PxAP: background and object pixels by the score of a constant map.
        gaussian_pixels: the same by the score of the centered Gaussian.
    """

    images: Int64[np.ndarray, ""]
    located: Int64[np.ndarray, "levels boxes"]
    located_wsoleval: Int64[np.ndarray, "levels boxes_wsoleval"]
    full_image_pixels: Int64[np.ndarray, "2 score_bins"]
    gaussian_pixels: Int64[np.ndarray, "2 score_bins"]


class ContentFree:
    """Three content-free predictors, accumulated over the images of a split.

    The full image is one box. The centered square and the centered Gaussian's box come in all sizes; the best
    size on the evaluated images is reported, marked as an oracle in `size_source`. With masks, the full image
    and the Gaussian are also evaluated as score maps by PxAP.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        image_size: int = 224,
        first_box_only: bool = False,
        tau_step: float = 0.001,
    ):
        self._protocol, self._first_box_only, self._tau_step = protocol, first_box_only, tau_step
        self._families = _box_families(protocol, image_size=image_size)
        # MaxBoxAcc uses wsoleval's boxes and IoU for any geometry; often the two conventions are the same.
        self._wsoleval_families = _box_families(WSOLEVAL_PROTOCOL, image_size=image_size)
        gaussian = resize_map(
            centered_gaussian(image_size), protocol=WSOLEVAL_PROTOCOL, image_size=image_size
        )
        self._gaussian_bins = score_bins(gaussian, step=tau_step)
        bins = (2, len(tau_grid(tau_step)) + 2)
        shapes = {
            "images": (),
            "located": (len(IOU_LEVELS), sum(map(len, self._families.values()))),
            "located_wsoleval": (len(IOU_LEVELS), sum(map(len, self._wsoleval_families.values()))),
            "full_image_pixels": bins,
            "gaussian_pixels": bins,
        }
        self._sums = ContentFreeSums(**{name: np.zeros(shape, np.int64) for name, shape in shapes.items()})

    def add(self, truth_xyxy: Float[np.ndarray, "boxes 4"], counts: Int[np.ndarray, " images"]) -> None:
        """Count images.

        Images without a box are ignored.

        Args:
            truth_xyxy: the images' true boxes in pixels of the frame, concatenated.
            counts: number of boxes of each image.
        """
        if self._first_box_only:
            starts = np.cumsum(counts) - counts
            truth_xyxy, counts = truth_xyxy[starts[counts > 0]], np.minimum(counts, 1)
        own = _count_hits(self._families, truth_xyxy, counts, closed=self._protocol.closed)
        official = own
        if self._protocol is not WSOLEVAL_PROTOCOL:
            official = _count_hits(
                self._wsoleval_families, truth_xyxy, counts, closed=WSOLEVAL_PROTOCOL.closed
            )
        self._sums.located[:] += own
        self._sums.located_wsoleval[:] += official
        np.add(self._sums.images, (counts > 0).sum(), out=self._sums.images)

    def add_mask(self, mask: UInt8[np.ndarray, "height width"]) -> None:
        """Count the pixels of a mask in the frame: 0 background, 255 ignored, any other value object."""
        constant = np.zeros_like(self._gaussian_bins)
        num_bins = self._sums.gaussian_pixels.shape[1]
        self._sums.full_image_pixels[:] += count_scores(constant, mask, num_bins=num_bins)
        self._sums.gaussian_pixels[:] += count_scores(self._gaussian_bins, mask, num_bins=num_bins)

    def sums(self) -> ContentFreeSums:
        """Return the sums so far."""
        return dataclasses.replace(self._sums, **{k: v.copy() for k, v in vars(self._sums).items()})

    def merge(self, sums: ContentFreeSums) -> None:
        """Add the sums of another part of the split."""
        for name, value in vars(self._sums).items():
            np.add(value, getattr(sums, name), out=value)

    def summarize(self) -> dict[str, dict[str, Any]]:
        """Return each predictor's metrics in percent, with the best size of its family at each IoU level.

        Without true boxes there is only PxAP; without masks there is no PxAP.
        """
        summary: dict[str, dict[str, Any]] = {name: {} for name in PREDICTORS}
        if self._sums.images:
            ends = np.cumsum([len(boxes) for boxes in self._families.values()])[:-1]
            official_ends = np.cumsum([len(boxes) for boxes in self._wsoleval_families.values()])[:-1]
            own = np.split(self._percent(self._sums.located), ends, axis=1)
            official = np.split(self._percent(self._sums.located_wsoleval), official_ends, axis=1)
            for index, (name, boxes) in enumerate(self._families.items()):
                summary[name] |= _summarize_family(boxes, own[index], official[index])
        pixels = {"full_image": self._sums.full_image_pixels, "centered_gaussian": self._sums.gaussian_pixels}
        for name, histograms in pixels.items():
            pxap = average_precision(histograms)
            if pxap is not None:
                summary[name]["pxap"] = pxap
        return {name: row for name, row in summary.items() if row}

    def _percent(self, located: Int64[np.ndarray, "levels boxes"]) -> Float[np.ndarray, "levels boxes"]:
        return 100 * located / max(int(self._sums.images), 1)


def _count_hits(
    families: Mapping[str, Int[np.ndarray, "members 4"]],
    truth_xyxy: Float[np.ndarray, "boxes 4"],
    counts: Int[np.ndarray, " images"],
    *,
    closed: bool,
) -> Int64[np.ndarray, "levels all_members"]:
    """Count the images that each box localizes, by IoU level."""
    ious = best_iou_per_image(np.concatenate(list(families.values())), truth_xyxy, counts, closed=closed)
    return np.stack([(ious >= level).sum(axis=1) for level in IOU_LEVELS])


def _summarize_family(
    boxes: Int[np.ndarray, "members 4"],
    accuracy: Float[np.ndarray, "levels members"],
    official: Float[np.ndarray, "levels members_wsoleval"],
) -> dict[str, Any]:
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
    """Return centered squares of every even side from 2 to the frame's side, in the protocol's convention."""
    center = image_size // 2
    half = np.arange(1, center + 1)[:, None]
    squares = np.concatenate([center - half, center - half, center + half, center + half], axis=1)
    return protocol_boxes(squares, protocol=protocol, image_size=image_size)


def centered_gaussian(image_size: int) -> Float[np.ndarray, "height width"]:
    """Return an isotropic Gaussian score map with a standard deviation of a quarter of the frame."""
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

"""Measurements of one image from one forward pass: pure functions, safe to run in threads."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from lctr_jax.localization.boxes import best_iou, box_area, protocol_boxes
from lctr_jax.localization.error_taxonomy import ErrorType, classify_error
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.pixels import score_histograms
from lctr_jax.localization.protocols import WSOLEVAL_PROTOCOL, MapClass, Protocol
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.sweep import all_rectangles, best_by_cut, largest_rectangles

FRAME_COVERING = 0.95
"""Boxes that cover a larger share of the frame are counted, because they hardly localize anything."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The network's results for an image, and the ground truth.

    Attributes:
        id: unique in the split; seeds the bootstrap, so that results do not depend on order or sharding.
        label: the true class.
        top5: the five classes with the highest scores, best first (fewer if there are fewer classes).
        predicted_map: score map of the predicted class, at any resolution.
        label_map: score map of the true class.
        boxes_xyxy: true boxes in pixels of the frame, in the protocol's geometry; empty if unknown.
        mask: object mask in the frame: 0 background, 255 ignored, any other value object.
    """

    id: str
    label: int
    top5: Int[np.ndarray, " top"]
    predicted_map: Float[np.ndarray, "grid_height grid_width"]
    label_map: Float[np.ndarray, "grid_height grid_width"]
    boxes_xyxy: Float[np.ndarray, "boxes 4"]
    mask: UInt8[np.ndarray, "height width"] | None = None

    @property
    def top1_correct(self) -> bool:
        """Whether the predicted class is the true one."""
        return bool(self.top5[0] == self.label)

    @property
    def top5_correct(self) -> bool:
        """Whether the true class is among the top five."""
        return bool((self.top5 == self.label).any())

    def score_map(self, map_class: MapClass) -> Float[np.ndarray, "grid_height grid_width"]:
        """Return the map of the predicted or the true class."""
        return self.predicted_map if map_class == "predicted" else self.label_map


@dataclass(frozen=True, kw_only=True)
class BoxScores:
    """IoU of an image's boxes with its true boxes.

    Attributes:
        iou: of the box at the reported threshold.
        error: error type of that box.
        iou_by_cut: of the same map's box at every cut.
        label_iou_by_cut: like `iou_by_cut`, from the true class's map.
        single_iou_by_cut: wsoleval's rules: largest contour of the true class's map (MaxBoxAcc).
        multi_iou_by_cut: wsoleval's rules: best of all contours (MaxBoxAccV2).
    """

    iou: float
    error: ErrorType
    iou_by_cut: Float[np.ndarray, " cuts"]
    label_iou_by_cut: Float[np.ndarray, " cuts"]
    single_iou_by_cut: Float[np.ndarray, " cuts"]
    multi_iou_by_cut: Float[np.ndarray, " cuts"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One image's contribution to every metric.

    Attributes:
        box_xyxy: the box at the reported threshold, in pixels of the frame.
        flat_map: the map is constant or not finite, so the box is not evidence of an object.
        covers_frame: the box covers more than `FRAME_COVERING` of the frame.
        scores: None for an image without true boxes.
        pixel_histograms: for PxAP: background and object pixels; None for an image without a mask.
    """

    box_xyxy: Float[np.ndarray, "4"]
    flat_map: bool
    covers_frame: bool
    scores: BoxScores | None
    pixel_histograms: Int[np.ndarray, "2 bins"] | None


def measure(sample: Sample, settings: Settings) -> Measurement:
    """Measure one image: box, IoU, error type, and the IoU at every threshold by both box rules."""
    protocol, image_size = settings.protocol, settings.image_size
    boxed = sweep_map(sample.score_map(settings.boxed_class), protocol=protocol, image_size=image_size)
    wanted = sample.mask is not None or len(sample.boxes_xyxy) > 0
    label = _sweep_label_map(sample, boxed, settings) if wanted else None
    box_xyxy = boxed.boxes_xyxy[settings.threshold.cut].astype(np.float64)
    area = box_area(box_xyxy[None], closed=protocol.closed)[0]
    return Measurement(
        box_xyxy=box_xyxy,
        flat_map=not boxed.levels.any(),
        covers_frame=bool(area > FRAME_COVERING * image_size**2),
        scores=_score_boxes(sample, boxed, label, settings) if label and len(sample.boxes_xyxy) else None,
        pixel_histograms=score_histograms(label.frame, sample.mask, step=settings.tau_step)
        if label and sample.mask is not None
        else None,
    )


class Sweep(NamedTuple):
    """A score map in the frame, and its box at every cut.

    Attributes:
        frame: the resized map in [0, 1].
        levels: its gray levels.
        boxes_xyxy: boxes in pixels of the frame, in the protocol's convention.
    """

    frame: Float[np.ndarray, "height width"]
    levels: UInt8[np.ndarray, "height width"]
    boxes_xyxy: Int[np.ndarray, "cuts 4"]


def sweep_map(
    score_map: Float[np.ndarray, "grid_height grid_width"], *, protocol: Protocol, image_size: int
) -> Sweep:
    """Resize a score map by the protocol's rule and return its box at every cut."""
    frame = resize_map(score_map, protocol=protocol, image_size=image_size)
    levels = quantize_map(frame)
    boxes_xyxy = protocol_boxes(largest_rectangles(levels), protocol=protocol, image_size=image_size)
    return Sweep(frame, levels, boxes_xyxy)


def boxes_by_cut(
    score_map: Float[np.ndarray, "grid_height grid_width"], *, protocol: Protocol, image_size: int
) -> Int[np.ndarray, "cuts 4"]:
    """Return a score map's box in the frame at every cut, in pixels."""
    return sweep_map(score_map, protocol=protocol, image_size=image_size).boxes_xyxy


def _sweep_label_map(sample: Sample, boxed: Sweep, settings: Settings) -> Sweep:
    """Sweep the true class's map by wsoleval's rules, reusing `boxed` if it is the same sweep."""
    if settings.protocol is WSOLEVAL_PROTOCOL and np.array_equal(
        sample.score_map(settings.boxed_class), sample.label_map
    ):
        return boxed
    return sweep_map(sample.label_map, protocol=WSOLEVAL_PROTOCOL, image_size=settings.image_size)


def _score_boxes(sample: Sample, boxed: Sweep, label: Sweep, settings: Settings) -> BoxScores:
    """Compare boxes with the true ones; `label` is the sweep of the true class's map by wsoleval's rules."""
    protocol, image_size = settings.protocol, settings.image_size
    truth = sample.boxes_xyxy[:1] if settings.first_box_only else sample.boxes_xyxy
    iou_by_cut = best_iou(boxed.boxes_xyxy, truth, closed=protocol.closed)
    if settings.boxed_class == "label" or sample.top1_correct:
        label_boxes = boxed.boxes_xyxy
    elif protocol is WSOLEVAL_PROTOCOL:
        label_boxes = label.boxes_xyxy
    else:
        label_boxes = boxes_by_cut(sample.label_map, protocol=protocol, image_size=image_size)
    cut = settings.threshold.cut
    return BoxScores(
        iou=float(iou_by_cut[cut]),
        error=classify_error(
            boxed.boxes_xyxy[cut],
            truth,
            iou=float(iou_by_cut[cut]),
            top1_correct=sample.top1_correct,
            closed=protocol.closed,
        ),
        iou_by_cut=iou_by_cut,
        label_iou_by_cut=best_iou(label_boxes, truth, closed=protocol.closed),
        single_iou_by_cut=best_iou(label.boxes_xyxy, truth, closed=WSOLEVAL_PROTOCOL.closed),
        multi_iou_by_cut=best_contour_iou(label.levels, truth, image_size=image_size),
    )


def best_contour_iou(
    levels: UInt8[np.ndarray, "height width"], truth_xyxy: Float[np.ndarray, "boxes 4"], *, image_size: int
) -> Float[np.ndarray, " cuts"]:
    """Return MaxBoxAccV2's IoU at every cut: the best over all contours and all true boxes."""
    contours = all_rectangles(levels)
    boxes = protocol_boxes(contours.rectangles_xyxy, protocol=WSOLEVAL_PROTOCOL, image_size=image_size)
    nothing = protocol_boxes(np.zeros((1, 4), boxes.dtype), protocol=WSOLEVAL_PROTOCOL, image_size=image_size)
    ious = best_iou(np.concatenate([boxes, nothing]), truth_xyxy, closed=WSOLEVAL_PROTOCOL.closed)
    return ious[best_by_cut(contours.first_cut, contours.last_cut, ious[:-1])]

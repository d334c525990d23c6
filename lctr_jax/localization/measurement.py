"""One image's measurements, from one forward pass: a pure function, safe to run in threads."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from lctr_jax.localization.boxes import best_iou, protocol_boxes
from lctr_jax.localization.error_taxonomy import ErrorType, classify_error
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.pixels import score_histograms
from lctr_jax.localization.protocols import WSOLEVAL, Protocol
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.sweep import all_rectangles, best_by_cut, largest_rectangles


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the network said about an image, and the truth.

    Attributes:
        id: unique in the split; seeds the bootstrap, so that results do not depend on order or sharding.
        label: the true class.
        top5: the best classes, best first (fewer when there are fewer classes).
        predicted_map: score map of the predicted class, any resolution.
        label_map: score map of the true class.
        boxes_xyxy: true boxes in the frame, as the protocol's geometry gives them; none if unknown.
        mask: object mask in the frame: 0 background, 255 ignored, any other value the object.
    """

    id: str
    label: int
    top5: Int[np.ndarray, " top"]
    predicted_map: Float[np.ndarray, "grid_height grid_width"]
    label_map: Float[np.ndarray, "grid_height grid_width"]
    boxes_xyxy: Float[np.ndarray, "boxes 4"]
    mask: UInt8[np.ndarray, "height width"] | None = None


@dataclass(frozen=True, kw_only=True)
class BoxScores:
    """How an image's boxes compare with its true ones.

    Attributes:
        iou: of the box at the run's threshold.
        error: what is wrong with that box.
        iou_by_cut: the same box at every cut.
        label_iou_by_cut: as `iou_by_cut`, from the true class's map.
        single_iou_by_cut: wsoleval's rules, largest contour of the true class's map (MaxBoxAcc).
        multi_iou_by_cut: wsoleval's rules, best of all contours (MaxBoxAccV2).
    """

    iou: float
    error: ErrorType
    iou_by_cut: Float[np.ndarray, " cuts"]
    label_iou_by_cut: Float[np.ndarray, " cuts"]
    single_iou_by_cut: Float[np.ndarray, " cuts"]
    multi_iou_by_cut: Float[np.ndarray, " cuts"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """An image's part in every metric.

    Attributes:
        id: the sample's.
        label: the sample's.
        top5: the sample's.
        box_xyxy: the box at the run's threshold, in the frame.
        scores: None for an image without true boxes.
        pixel_histograms: for PxAP, background and object; None for an image without a mask.
    """

    id: str
    label: int
    top5: Int[np.ndarray, " top"]
    box_xyxy: Float[np.ndarray, "4"]
    scores: BoxScores | None
    pixel_histograms: Int[np.ndarray, "2 bins"] | None

    @property
    def top1_correct(self) -> bool:
        """Whether the best class is the true one."""
        return bool(self.top5[0] == self.label)

    @property
    def top5_correct(self) -> bool:
        """Whether the true class is among the best five."""
        return bool((self.top5 == self.label).any())


def measure(sample: Sample, settings: Settings) -> Measurement:
    """Measures one image: box, IoU, error type, and the IoU at every threshold under both box rules."""
    predicted = settings.boxed_class == "predicted"
    boxes = boxes_by_cut(
        sample.predicted_map if predicted else sample.label_map,
        protocol=settings.protocol,
        image_size=settings.image_size,
    )
    frame = resize_map(sample.label_map, protocol=WSOLEVAL, image_size=settings.image_size)
    return Measurement(
        id=sample.id,
        label=sample.label,
        top5=sample.top5,
        box_xyxy=boxes[settings.threshold.cut].astype(np.float64),
        scores=_score_boxes(sample, boxes, frame, settings) if len(sample.boxes_xyxy) else None,
        pixel_histograms=None
        if sample.mask is None
        else score_histograms(frame, sample.mask, step=settings.tau_step),
    )


def boxes_by_cut(
    score_map: Float[np.ndarray, "grid_height grid_width"], *, protocol: Protocol, image_size: int
) -> Int[np.ndarray, "cuts 4"]:
    """Returns a score map's box in the frame at every cut."""
    levels = quantize_map(resize_map(score_map, protocol=protocol, image_size=image_size))
    return protocol_boxes(largest_rectangles(levels), protocol=protocol, image_size=image_size)


def _score_boxes(sample: Sample, boxes: np.ndarray, label_frame: np.ndarray, settings: Settings) -> BoxScores:
    protocol, image_size = settings.protocol, settings.image_size
    truth = sample.boxes_xyxy[:1] if settings.first_box_only else sample.boxes_xyxy
    iou_by_cut = best_iou(boxes, truth, closed=protocol.closed)
    same_map = settings.boxed_class == "label" or sample.top5[0] == sample.label
    label_boxes = (
        boxes if same_map else boxes_by_cut(sample.label_map, protocol=protocol, image_size=image_size)
    )
    levels = quantize_map(label_frame)
    single = protocol_boxes(largest_rectangles(levels), protocol=WSOLEVAL, image_size=image_size)
    cut = settings.threshold.cut
    return BoxScores(
        iou=float(iou_by_cut[cut]),
        error=classify_error(
            boxes[cut],
            truth,
            iou=float(iou_by_cut[cut]),
            top1_correct=bool(sample.top5[0] == sample.label),
            closed=protocol.closed,
        ),
        iou_by_cut=iou_by_cut,
        label_iou_by_cut=best_iou(label_boxes, truth, closed=protocol.closed),
        single_iou_by_cut=best_iou(single, truth, closed=True),
        multi_iou_by_cut=best_contour_iou(levels, truth, image_size=image_size),
    )


def best_contour_iou(
    levels: UInt8[np.ndarray, "height width"], truth_xyxy: Float[np.ndarray, "boxes 4"], *, image_size: int
) -> Float[np.ndarray, " cuts"]:
    """Returns MaxBoxAccV2's IoU at every cut: the best over all contours and all true boxes."""
    contours = all_rectangles(levels)
    boxes = protocol_boxes(contours.rectangles_xyxy, protocol=WSOLEVAL, image_size=image_size)
    nothing = protocol_boxes(np.zeros((1, 4), boxes.dtype), protocol=WSOLEVAL, image_size=image_size)
    ious = best_iou(np.concatenate([boxes, nothing]), truth_xyxy, closed=WSOLEVAL.closed)
    return ious[best_by_cut(contours.first_cut, contours.last_cut, ious[:-1])]

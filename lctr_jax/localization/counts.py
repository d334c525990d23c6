"""Counts of correct results, of one image, a split, or every bootstrap replicate of it."""

from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Integer, UInt8

from lctr_jax.localization.maps import NUM_CUTS
from lctr_jax.localization.measurement import Measurement, Sample
from lctr_jax.localization.settings import IOU_LEVELS

_SHAPES: dict[str, tuple[int, ...]] = {
    "images": (),
    "top1": (),
    "top5": (),
    "boxed": (),
    "located": (NUM_CUTS,),
    "top1_located": (NUM_CUTS,),
    "top5_located": (NUM_CUTS,),
    "label_located": (NUM_CUTS,),
    "single_located": (len(IOU_LEVELS), NUM_CUTS),
    "multi_located": (len(IOU_LEVELS), NUM_CUTS),
}
NUM_COLUMNS = sum(prod(shape) for shape in _SHAPES.values())
"""Number of values in `Counts` of one image or one replicate."""

_LEVELS = np.array(IOU_LEVELS)[:, None]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Numbers of images, with any leading dimensions, such as bootstrap replicates.

    Attributes:
        images: all images.
        top1: the class with the highest score is the true one.
        top5: the true class is among the five with the highest scores.
        boxed: images with true boxes; the following fields count only these.
        located: IoU >= 0.5 with a true box (GT-known Loc), at every cut.
        top1_located: `located` and `top1`.
        top5_located: `located` and `top5`.
        label_located: like `located`, with the box from the true class's map.
        single_located: with wsoleval's box of the largest contour (MaxBoxAcc), by IoU level and cut.
        multi_located: with wsoleval's best box of all contours (MaxBoxAccV2), by IoU level and cut.
    """

    images: Integer[np.ndarray, "*batch"]
    top1: Integer[np.ndarray, "*batch"]
    top5: Integer[np.ndarray, "*batch"]
    boxed: Integer[np.ndarray, "*batch"]
    located: Integer[np.ndarray, "*batch cuts"]
    top1_located: Integer[np.ndarray, "*batch cuts"]
    top5_located: Integer[np.ndarray, "*batch cuts"]
    label_located: Integer[np.ndarray, "*batch cuts"]
    single_located: Integer[np.ndarray, "*batch levels cuts"]
    multi_located: Integer[np.ndarray, "*batch levels cuts"]

    @classmethod
    def from_columns(cls, columns: Integer[np.ndarray, "*batch columns"]) -> "Counts":
        """Return a view of an array whose last dimension holds all counts in the order of the fields."""
        ends = np.cumsum([prod(shape) for shape in _SHAPES.values()])[:-1]
        parts = np.split(columns, ends, axis=-1)
        return cls(
            **{
                name: part.reshape((*columns.shape[:-1], *shape))
                for (name, shape), part in zip(_SHAPES.items(), parts, strict=True)
            }
        )


def count_image(sample: Sample, measurement: Measurement) -> UInt8[np.ndarray, " columns"]:
    """Return one image's counts (0 or 1) in the order of the fields of `Counts`."""
    top1, top5, scores = sample.top1_correct, sample.top5_correct, measurement.scores
    if scores is None:
        return np.array([1, top1, top5] + [0] * (NUM_COLUMNS - 3), np.uint8)
    located = scores.iou_by_cut >= 0.5
    parts = (
        [True, top1, top5, True],
        located,
        located & top1,
        located & top5,
        scores.label_iou_by_cut >= 0.5,
        (scores.single_iou_by_cut >= _LEVELS).ravel(),
        (scores.multi_iou_by_cut >= _LEVELS).ravel(),
    )
    return np.concatenate(parts).astype(np.uint8)

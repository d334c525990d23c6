"""Sums over images, of constant size, from which every metric is computed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from lctr_jax.localization.counts import NUM_COLUMNS, Counts
from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.maps import tau_grid
from lctr_jax.localization.settings import Settings

IOU_UNIT = 2.0**-40
"""Unit of IoU sums: integer sums do not depend on the order of images or the number of hosts."""

NUM_IOU_BINS = 20

PER_CLASS_COLUMNS = ("images", "top1", "boxed", "located", "top1_located", "iou")
"""Columns of `Sums.per_class`."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Integer sums over images and hosts.

    Attributes:
        columns: the values of `counts`.
        replicate_columns: the values of `replicates`.
        flat_maps: images with a flat map, which localizes nothing.
        frame_covering_boxes: images whose box covers nearly all of the frame (`measurement.FRAME_COVERING`).
        iou: sum over the reported boxes, in `IOU_UNIT`.
        iou_histogram: images by that IoU.
        errors: images by error type, in the order of `ERROR_TYPES`.
        pixels: for PxAP: background and object pixels by score.
        per_class: columns `PER_CLASS_COLUMNS`, at the reported threshold.
    """

    columns: Int64[np.ndarray, " columns"]
    replicate_columns: Int64[np.ndarray, "resamples columns"]
    flat_maps: Int64[np.ndarray, ""]
    frame_covering_boxes: Int64[np.ndarray, ""]
    iou: Int64[np.ndarray, ""]
    iou_histogram: Int64[np.ndarray, " bins"]
    errors: Int64[np.ndarray, " types"]
    pixels: Int64[np.ndarray, "2 score_bins"]
    per_class: Int64[np.ndarray, "classes 6"]

    @property
    def counts(self) -> Counts:
        """Numbers of images with correct results."""
        return Counts.from_columns(self.columns)

    @property
    def replicates(self) -> Counts:
        """The same for every bootstrap replicate."""
        return Counts.from_columns(self.replicate_columns)

    @classmethod
    def zeros(cls, settings: Settings) -> "Sums":
        """Return the sums of no images."""
        shapes = {
            "columns": (NUM_COLUMNS,),
            "replicate_columns": (settings.num_resamples, NUM_COLUMNS),
            "flat_maps": (),
            "frame_covering_boxes": (),
            "iou": (),
            "iou_histogram": (NUM_IOU_BINS,),
            "errors": (len(ERROR_TYPES),),
            "pixels": (2, len(tau_grid(settings.tau_step)) + 2),
            "per_class": (settings.num_classes, len(PER_CLASS_COLUMNS)),
        }
        return cls(**{name: np.zeros(shape, np.int64) for name, shape in shapes.items()})


def add_sums(parts: Sequence[Sums]) -> Sums:
    """Add the sums of parts of a split, such as those of all hosts."""
    names = [field.name for field in dataclasses.fields(Sums)]
    return Sums(
        **{name: np.asarray(np.sum([getattr(part, name) for part in parts], axis=0)) for name in names}
    )

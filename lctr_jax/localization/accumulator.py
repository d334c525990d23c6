"""Sums over images, from which every metric follows. Their size does not depend on how many there were."""

import numpy as np

from lctr_jax.localization.bootstrap import replicate_counts, resample_weights
from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.maps import NUM_CUTS, tau_grid
from lctr_jax.localization.measurement import Measurement
from lctr_jax.localization.settings import IOU_LEVELS, Settings

IOU_UNIT = 2.0**-40
"""IoU sums are kept in these units: integers add up alike in any order, on any number of hosts."""

NUM_IOU_BINS = 20

Sums = dict[str, np.ndarray]
"""Arrays of int64 that add up: over images, and over hosts."""

_LEVELS = np.array(IOU_LEVELS)[:, None]
_FLUSH_AT = 64


class Accumulator:
    """Adds up measurements; `merge` joins accumulators of other hosts; `summarize` reads the result.

    Every sum is an integer array, so the order of images and the number of hosts change no digit.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._sums = zero_sums(settings)
        self._pending: list[tuple[str, np.ndarray]] = []

    def add(self, measurement: Measurement) -> None:
        """Counts one image.

        Raises:
            ValueError: the label is not one of the settings' classes.
        """
        if not 0 <= measurement.label < self.settings.num_classes:
            raise ValueError(
                f"label of {measurement.id}: got {measurement.label}, "
                f"expected 0 to {self.settings.num_classes - 1} (num_classes {self.settings.num_classes})"
            )
        for name, value in _contributions(measurement, self.settings).items():
            self._sums[name] += value
        self._count_class(measurement)
        if self.settings.num_resamples:
            self._pending.append((measurement.id, outcomes(measurement, self.settings)))
            if len(self._pending) >= _FLUSH_AT:
                self._flush()

    def merge(self, sums: Sums) -> None:
        """Adds another accumulator's sums (`other.sums()`), say another host's."""
        for name, value in self._sums.items():
            value += sums[name]

    def sums(self) -> Sums:
        """Returns everything counted so far."""
        self._flush()
        return {name: value.copy() for name, value in self._sums.items()}

    def _count_class(self, measurement: Measurement) -> None:
        table = self._sums["per_class"][measurement.label]
        scores = measurement.scores
        table[:2] += 1, measurement.top1_correct
        if scores is not None:
            located = scores.iou >= 0.5
            table[2:] += 1, located, located and measurement.top1_correct, round(scores.iou / IOU_UNIT)

    def _flush(self) -> None:
        if not self._pending:
            return
        image_ids = [image_id for image_id, _ in self._pending]
        weights = resample_weights(
            image_ids, num_resamples=self.settings.num_resamples, seed=self.settings.seed
        )
        self._sums["replicates"] += replicate_counts(weights, np.stack([row for _, row in self._pending]))
        self._pending.clear()


PER_CLASS_COLUMNS = ("images", "top1", "boxed", "located", "top1_located", "iou")
"""Columns of the sum `per_class`."""


def zero_sums(settings: Settings) -> Sums:
    """Returns the sums of no images."""
    shapes = {
        "classified": (3,),  # images, top-1 right, top-5 right
        "boxed": (),
        "located": (3, NUM_CUTS),  # GT-known, Top-1, Top-5 Loc at every cut
        "label_located": (NUM_CUTS,),  # GT-known Loc of the true class's map
        "single": (len(IOU_LEVELS), NUM_CUTS),
        "multi": (len(IOU_LEVELS), NUM_CUTS),
        "iou": (),
        "iou_histogram": (NUM_IOU_BINS,),
        "errors": (len(ERROR_TYPES),),
        "pixels": (2, len(tau_grid(settings.tau_step)) + 2),
        "per_class": (settings.num_classes, len(PER_CLASS_COLUMNS)),
        "replicates": (settings.num_resamples, NUM_OUTCOMES),
    }
    return {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}


def _contributions(measurement: Measurement, settings: Settings) -> Sums:
    """What one image adds, except to its class and to the bootstrap."""
    top1, top5 = measurement.top1_correct, measurement.top5_correct
    sums: Sums = {"classified": np.array([1, top1, top5])}
    if measurement.pixel_histograms is not None:
        sums["pixels"] = measurement.pixel_histograms
    scores = measurement.scores
    if scores is None:
        return sums
    located = scores.iou_by_cut >= 0.5
    bin_index = min(int(scores.iou * NUM_IOU_BINS), NUM_IOU_BINS - 1)
    return sums | {
        "boxed": np.array(1),
        "located": located[None] & np.array([True, top1, top5])[:, None],
        "label_located": scores.label_iou_by_cut >= 0.5,
        "single": scores.single_iou_by_cut >= _LEVELS,
        "multi": scores.multi_iou_by_cut >= _LEVELS,
        "iou": np.array(round(scores.iou / IOU_UNIT)),
        "iou_histogram": np.arange(NUM_IOU_BINS) == bin_index,
        "errors": np.array([scores.error == name for name in ERROR_TYPES]),
    }


OUTCOME_SIZES = {
    "images": 1,
    "top1_cls": 1,
    "top5_cls": 1,
    "boxed": 1,
    "gt_known_loc": 1,
    "top1_loc": 1,
    "top5_loc": 1,
    "label_gt_known_loc": 1,
    "max_box_acc": NUM_CUTS,
    "max_box_acc_v2": len(IOU_LEVELS) * NUM_CUTS,
}
"""Columns of the sum `replicates`: what is right about an image, and how many columns say so."""

NUM_OUTCOMES = sum(OUTCOME_SIZES.values())


def outcomes(measurement: Measurement, settings: Settings) -> np.ndarray:
    """Returns an image's row of right and wrong, in the order of `OUTCOME_SIZES`."""
    top1, top5 = measurement.top1_correct, measurement.top5_correct
    scores = measurement.scores
    if scores is None:
        return np.concatenate([[True, top1, top5], np.zeros(NUM_OUTCOMES - 3, bool)])
    located = scores.iou >= 0.5
    label_located = scores.label_iou_by_cut[settings.threshold.cut] >= 0.5
    flags = [True, top1, top5, True, located, located and top1, located and top5, label_located]
    return np.concatenate(
        [flags, scores.single_iou_by_cut >= 0.5, (scores.multi_iou_by_cut >= _LEVELS).ravel()]
    )

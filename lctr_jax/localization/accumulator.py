"""Streaming accumulation of measurements."""

import dataclasses

import numpy as np
from jaxtyping import UInt8

from lctr_jax.localization.bootstrap import replicate_counts, resample_weights
from lctr_jax.localization.counts import count_image
from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.measurement import Measurement, Sample
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.sums import IOU_UNIT, NUM_IOU_BINS, Sums

_FLUSH_AT = 256  # images per matrix product; a few large products are faster than many small ones


class Accumulator:
    """Adds measurements to `Sums`, the input of `summarize`; `add_sums` adds the sums of several hosts.

    All sums are integers, so results do not depend on the order of images or the number of hosts.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._sums = Sums.zeros(settings)
        self._pending: list[tuple[str, UInt8[np.ndarray, " columns"]]] = []

    def add(self, sample: Sample, measurement: Measurement) -> None:
        """Count one image.

        Raises:
            ValueError: the label is not one of the settings' classes.
        """
        if not 0 <= sample.label < self.settings.num_classes:
            raise ValueError(
                f"label of {sample.id}: got {sample.label}, "
                f"expected 0 to {self.settings.num_classes - 1} (num_classes {self.settings.num_classes})"
            )
        # In place, which avoids allocating every array for every image.
        sums = self._sums
        np.add(sums.flat_maps, measurement.flat_map, out=sums.flat_maps)
        np.add(sums.frame_covering_boxes, measurement.covers_frame, out=sums.frame_covering_boxes)
        if measurement.pixel_histograms is not None:
            np.add(sums.pixels, measurement.pixel_histograms, out=sums.pixels)
        sums.per_class[sample.label, :2] += 1, sample.top1_correct
        if measurement.scores is not None:
            self._add_scores(sample, measurement)
        self._pending.append((sample.id, count_image(sample, measurement)))
        if len(self._pending) >= _FLUSH_AT:
            self._flush()

    def sums(self) -> Sums:
        """Return the sums so far."""
        self._flush()
        fields = dataclasses.fields(Sums)
        return Sums(**{field.name: getattr(self._sums, field.name).copy() for field in fields})

    def _add_scores(self, sample: Sample, measurement: Measurement) -> None:
        sums, scores = self._sums, measurement.scores
        assert scores is not None
        located, iou = scores.iou >= 0.5, round(scores.iou / IOU_UNIT)
        np.add(sums.iou, iou, out=sums.iou)
        sums.iou_histogram[min(int(scores.iou * NUM_IOU_BINS), NUM_IOU_BINS - 1)] += 1
        sums.errors[ERROR_TYPES.index(scores.error)] += 1
        sums.per_class[sample.label, 2:] += 1, located, located and sample.top1_correct, iou

    def _flush(self) -> None:
        if not self._pending:
            return
        columns = np.stack([row for _, row in self._pending])
        self._sums.columns[:] += columns.sum(axis=0, dtype=np.int64)
        if self.settings.num_resamples:
            weights = resample_weights(
                [image_id for image_id, _ in self._pending], num_resamples=self.settings.num_resamples
            )
            self._sums.replicate_columns[:] += replicate_counts(weights, columns)
        self._pending.clear()

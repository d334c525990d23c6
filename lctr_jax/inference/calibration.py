"""Choose a network's threshold on images with true boxes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lctr_jax.checkpoints.stored_calibration import Calibration
from lctr_jax.inference.box_accuracy import MeasuredMap
from lctr_jax.localization.bootstrap import percentile_interval, replicate_counts, resample_weights
from lctr_jax.localization.thresholds import Threshold, choose_threshold

NUM_RESAMPLES = 1000
LOCATED = 0.5  # IoU


def calibrate(measured: Sequence[MeasuredMap], *, source: str, num_boxes: int, geometry: str) -> Calibration:
    """Choose the threshold with the best box accuracy, by the rule that evaluation uses on a held-out split.

    Both intervals are bootstrap intervals over images; each replicate chooses its own threshold. The accuracy
    is measured at the chosen threshold on the same images.

    Args:
        measured: one map per image.
        source: name of the box list, stored in the result.
        num_boxes: number of true boxes, stored in the result.
        geometry: how images become the network's input, stored in the result.
    """
    located = np.stack([image.iou_by_cut >= LOCATED for image in measured])
    threshold = _best(located.mean(0), source)
    weights = resample_weights([image.name for image in measured], num_resamples=NUM_RESAMPLES, seed=0)
    weights = weights[weights.any(1)]  # with few images, some replicates are empty
    counts = replicate_counts(weights, located) / weights.sum(1, keepdims=True)
    return Calibration(
        threshold=threshold.tau,
        interval_95=percentile_interval(np.array([_best(curve, source).tau for curve in counts])),
        box_accuracy=100 * float(located[:, threshold.cut].mean()),
        box_accuracy_interval_95=percentile_interval(100 * counts[:, threshold.cut]),
        source=source,
        num_images=len(measured),
        num_boxes=num_boxes,
        geometry=geometry,
    )


def _best(accuracy_by_cut: Float[np.ndarray, " cuts"], source: str) -> Threshold:
    return choose_threshold(accuracy_by_cut, source="held-out", chosen_on=source)

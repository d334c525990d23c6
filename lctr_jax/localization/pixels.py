"""PxAP: pixelwise average precision of a score map against an object mask (Choe et al., section 3)."""

import numpy as np
from jaxtyping import Float, Int, Int64, UInt8

from lctr_jax.localization.maps import tau_grid

IGNORE = 255
"""Mask value of pixels that count neither as object nor as background."""


def score_histograms(
    frame: Float[np.ndarray, "height width"], mask: UInt8[np.ndarray, "height width"], *, step: float
) -> Int64[np.ndarray, "2 bins"]:
    """Count the scores of background (row 0) and object pixels (row 1) between the thresholds.

    Args:
        frame: the map in the frame, scores in [0, 1].
        mask: 0 background, 255 ignored, any other value object.
        step: spacing of the thresholds; the bin edges are the thresholds, then 1, 2 and 3.
    """
    return count_scores(score_bins(frame, step=step), mask, num_bins=len(tau_grid(step)) + 2)


def score_bins(frame: Float[np.ndarray, "height width"], *, step: float) -> Int[np.ndarray, "height width"]:
    """Return the bin of each pixel's score (see `score_histograms`)."""
    edges = np.append(tau_grid(step), [1.0, 2.0, 3.0])
    return np.searchsorted(edges, frame, side="right") - 1


def count_scores(
    bins: Int[np.ndarray, "height width"], mask: UInt8[np.ndarray, "height width"], *, num_bins: int
) -> Int64[np.ndarray, "2 bins"]:
    """Count background (row 0) and object pixels (row 1) in each bin."""
    of_object = (mask != 0) & (mask != IGNORE)
    return np.stack([np.bincount(bins[pixels], minlength=num_bins) for pixels in (mask == 0, of_object)])


def iou_by_tau(histograms: Int[np.ndarray, "2 bins"]) -> Float[np.ndarray, " taus"]:
    """Return the pixel IoU in percent at every threshold, from pooled histograms.

    At a threshold, foreground is every pixel with at least this score: the IoU is the share of object pixels
    among all pixels that are foreground or object.

    Examples:
        >>> iou_by_tau(np.array([[8, 0, 0, 0], [0, 8, 0, 0]])).tolist()  # thresholds 0 and 0.5
        [50.0, 100.0]
    """
    false, true = histograms[:, ::-1].cumsum(axis=1)[:, ::-1]
    by_edge = 100 * true / np.maximum(true[0] + false, 1)
    return by_edge[:-2]  # the last two edges, 1 and 2, are not thresholds


def average_precision(histograms: Int[np.ndarray, "2 bins"]) -> float | None:
    """Return PxAP in percent from pooled histograms: 100 * sum_k P_k (R_k - R_{k-1}).

    None if there is no object pixel.

    Examples:
        >>> average_precision(np.array([[8, 0], [0, 8]]))  # background low, object high
        100.0
        >>> average_precision(np.array([[8, 8], [8, 8]]))  # an uninformative map: the object's share
        50.0
    """
    false, true = histograms[:, ::-1].cumsum(axis=1)
    if true[-1] == 0:
        return None
    precision = true / np.maximum(true + false, 1)
    recall = np.append(0.0, true / true[-1])
    return float(100 * (precision * np.diff(recall)).sum())

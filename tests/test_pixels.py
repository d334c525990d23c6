"""PxAP against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lctr_jax.localization.pixels import average_precision, iou_by_tau, score_histograms


def test_pxap_equals_scikit_learns_average_precision():
    rng = np.random.default_rng(0)
    frame = rng.random((40, 40), np.float32)
    frame[0, :2] = 0, 1
    mask = rng.choice(np.array([0, 1, 7, 255], np.uint8), frame.shape)
    ours = average_precision(score_histograms(frame, mask, step=0.01))
    counted = mask != 255
    binned = np.searchsorted(np.arange(0, 1, 0.01), frame[counted], side="right")
    assert ours == pytest.approx(100 * average_precision_score(mask[counted] > 0, binned))


def test_pxap_without_an_object_is_unknown():
    histograms = score_histograms(np.ones((32, 32), np.float32), np.zeros((32, 32), np.uint8), step=0.01)
    assert average_precision(histograms) is None


def test_pixel_iou_at_every_threshold():
    rng = np.random.default_rng(0)
    frame = rng.random((40, 40), np.float32)
    frame[0, :2] = 0, 1
    mask = rng.choice(np.array([0, 1, 255], np.uint8), frame.shape)
    ours = iou_by_tau(score_histograms(frame, mask, step=0.01))
    is_object, counted = mask == 1, mask != 255
    naive = [
        100 * (is_object & (frame >= tau)).sum() / (counted & (is_object | (frame >= tau))).sum()
        for tau in np.arange(0, 1, 0.01)
    ]
    np.testing.assert_allclose(ours, naive, rtol=1e-15)

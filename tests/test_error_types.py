"""What kind of error a box is, one example each."""

import numpy as np
import pytest

from lctr_jax.localization.error_taxonomy import classify_error


@pytest.mark.parametrize(
    ("box", "truth", "error"),
    [
        ((0, 0, 10, 10), [(0, 0, 10, 10)], "correct"),
        ((2, 2, 5, 5), [(0, 0, 10, 10)], "part"),
        ((0, 0, 30, 30), [(5, 5, 15, 15)], "more"),
        ((0, 0, 30, 10), [(0, 0, 12, 10), (18, 0, 30, 10)], "multi_instance"),
        ((0, 0, 10, 10), [(20, 20, 30, 30)], "other"),
        ((0, 0, 10, 10), [(8, 0, 20, 10)], "other"),
    ],
)
def test_error_types(box, truth, error):
    box, truth = np.array(box), np.array(truth)
    overlap = np.minimum(box[2:], truth[:, 2:]) - np.maximum(box[:2], truth[:, :2])
    shared = np.maximum(overlap, 0).prod(axis=1)
    area = (truth[:, 2:] - truth[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
    iou = float((shared / area).max())
    assert classify_error(box, truth, iou=iou, top1_correct=True, closed=False) == error


def test_a_good_box_of_the_wrong_class():
    box = np.array([0, 0, 10, 10])
    assert classify_error(box, box[None], iou=1.0, top1_correct=False, closed=False) == "wrong_class"

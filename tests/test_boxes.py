"""Box IoU compared with counting pixels, and the properties of an IoU."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_imports import ROOT

from lctr_jax.localization.boxes import best_iou, best_iou_per_image, box_iou, protocol_boxes
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL

corners = arrays(np.int64, (2, 2, 2), elements=st.integers(0, 20))
pairs = corners.map(lambda c: np.concatenate([c.min(axis=1), c.max(axis=1)], axis=1))


def pixels(box, *, closed):
    mask = np.zeros((32, 32), bool)
    x0, y0, x1, y1 = box
    mask[y0 : y1 + closed, x0 : x1 + closed] = True
    return mask


@pytest.mark.parametrize("closed", [False, True])
@given(pair=pairs)
def test_iou_counts_pixels(pair, closed):
    first, second = (pixels(box, closed=closed) for box in pair)
    union = (first | second).sum()
    expected = (first & second).sum() / union if union else 0.0
    assert box_iou(pair[:1], pair[1:], closed=closed)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("closed", [False, True])
@given(boxes=arrays(np.float64, (2, 4), elements=st.floats(-1e4, 1e4)))
def test_iou_is_symmetric_and_bounded(boxes, closed):
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + np.abs(boxes[:, 2:])], axis=1)
    there, back = box_iou(boxes[:1], boxes[1:], closed=closed), box_iou(boxes[1:], boxes[:1], closed=closed)
    assert there == back
    assert 0 <= there[0] <= 1 + 1e-9


@given(pair=pairs)
def test_a_box_fits_itself(pair):
    assert box_iou(pair[:1], pair[:1], closed=True)[0] == 1


def test_an_empty_union_is_zero():
    empty = np.array([[3, 3, 3, 3]])
    assert box_iou(empty, empty, closed=False)[0] == 0


def test_best_iou_takes_the_best_true_box():
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 20]])
    np.testing.assert_allclose(best_iou(np.array([[0, 0, 10, 16]]), truth, closed=False), [0.8])


def test_images_without_boxes_are_left_out():
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [5, 0, 10, 10]])
    ious = best_iou_per_image(np.array([[0, 0, 10, 10]]), truth, np.array([2, 0, 1]), closed=False)
    np.testing.assert_allclose(ious, [[1.0, 0.5]])
    assert best_iou_per_image(truth, np.zeros((0, 4)), np.array([0, 0]), closed=False).shape == (3, 0)


def test_what_protocols_write():
    rectangles = np.array([[0, 0, 224, 224], [5, 6, 9, 8], [0, 0, 0, 0]])
    np.testing.assert_array_equal(
        protocol_boxes(rectangles, protocol=WSOLEVAL_PROTOCOL, image_size=224),
        [[0, 0, 223, 223], [5, 6, 9, 8], [0, 0, 0, 0]],
    )
    np.testing.assert_array_equal(
        protocol_boxes(rectangles, protocol=LCTR_PROTOCOL, image_size=224),
        [[0, 0, 224, 224], [5, 6, 9, 8], [0, 0, 224, 224]],
    )


def test_threads_may_make_the_first_call_together(tmp_path):
    code = """
import warnings
from concurrent.futures import ThreadPoolExecutor
import os
import subprocess
import sys

import numpy as np
from lctr_jax.localization.boxes import box_iou
warnings.simplefilter("error")
with ThreadPoolExecutor(8) as threads:
    list(threads.map(lambda _: box_iou(np.ones((1, 4)), np.ones((1, 4)), closed=True), range(8)))
"""
    variables = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }  # nothing compiled yet
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)

"""The `lctr` protocol, from map to box to IoU, compared with the output of the published evaluation."""

from pathlib import Path

import numpy as np
import pytest

from lctr_jax.localization.boxes import box_iou
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.thresholds import Threshold

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDENS / "lctr_boxes.npz"))


def test_boxes_and_ious_equal_the_goldens(golden):
    maps = golden["rpam"] * golden["cam"]
    cuts = [Threshold(float(tau)).cut for tau in golden["taus"]]
    boxes = np.stack(
        [
            boxes_by_cut(score_map, protocol=LCTR_PROTOCOL, image_size=224)[cut]
            for score_map, cut in zip(maps, cuts, strict=True)
        ]
    )
    np.testing.assert_array_equal(boxes, golden["boxes"])
    np.testing.assert_allclose(box_iou(boxes, golden["gt"], closed=False), golden["ious"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf])
def test_a_map_that_says_nothing_gives_the_full_frame(value):
    boxes = boxes_by_cut(np.full((14, 14), value, np.float32), protocol=LCTR_PROTOCOL, image_size=224)
    np.testing.assert_array_equal(boxes, np.tile([0, 0, 224, 224], (256, 1)))


def test_one_nan_spoils_the_map():
    score_map = np.eye(14, dtype=np.float32)
    score_map[3, 7] = np.nan
    boxes = boxes_by_cut(score_map, protocol=LCTR_PROTOCOL, image_size=224)
    np.testing.assert_array_equal(boxes, np.tile([0, 0, 224, 224], (256, 1)))

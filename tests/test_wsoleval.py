"""The `wsoleval` protocol compared with every point of the published evaluator's curves."""

import json
from pathlib import Path

import numpy as np
import pytest

from lctr_jax.localization.accumulator import Accumulator
from lctr_jax.localization.maps import cut_of_tau
from lctr_jax.localization.measurement import Sample, measure
from lctr_jax.localization.protocols import WSOLEVAL_PROTOCOL
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.summary import curves, summarize
from lctr_jax.localization.thresholds import Threshold

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDENS / "wsoleval.npz"))


@pytest.fixture(scope="module")
def settings():
    return Settings(
        threshold=Threshold(0.2), num_classes=1, protocol=WSOLEVAL_PROTOCOL, num_resamples=0, tau_step=0.01
    )


@pytest.fixture(scope="module")
def sums(golden, settings):
    truths = json.loads((GOLDENS / "wsoleval_boxes.json").read_text())["resized_xyxy"]
    accumulator = Accumulator(settings)
    for index, (low, mask, truth) in enumerate(zip(golden["low"], golden["masks"], truths, strict=True)):
        sample = Sample(
            id=str(index),
            label=0,
            top5=np.array([0]),
            predicted_map=low,
            label_map=low,
            boxes_xyxy=np.array(truth, np.float64),
            mask=mask,
        )
        accumulator.add(sample, measure(sample, settings))
    return accumulator.sums()


@pytest.mark.parametrize("level", [30, 50, 70])
@pytest.mark.parametrize(("ours", "theirs"), [("max_box_acc", "single"), ("max_box_acc_v2", "multi")])
def test_every_curve_point(sums, golden, level, ours, theirs):
    curve = curves(sums)[f"{ours}_{level}"][cut_of_tau(golden["taus"])]
    np.testing.assert_allclose(curve, golden[f"{theirs}_{level}"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["max_box_acc", "max_box_acc_v2", "pxap"])
def test_the_three_scores(sums, golden, settings, name):
    assert summarize(sums, settings)[name] == pytest.approx(float(golden[name]), abs=1e-9)


def test_gt_known_is_the_single_contour_curve(sums):
    np.testing.assert_array_equal(curves(sums)["gt_known_loc"], curves(sums)["max_box_acc_50"])

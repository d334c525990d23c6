"""The accumulator and its summary: cases computed by hand, inequalities, and independence of the order."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lctr_jax.localization.accumulator import Accumulator
from lctr_jax.localization.measurement import Sample, measure
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.summary import (
    choose_curve_thresholds,
    class_table,
    curves,
    summarize,
)
from lctr_jax.localization.sums import add_sums
from lctr_jax.localization.thresholds import Threshold

SIZE = 32


def make_settings(protocol=LCTR_PROTOCOL, **options):
    options = {
        "num_classes": 8,
        "image_size": SIZE,
        "num_resamples": 20,
        "threshold": Threshold(0.2),
    } | options
    return Settings(protocol=protocol, **options)


def random_sample(seed, *, boxes=None, mask=False):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(0, SIZE, (rng.integers(1, 4) if boxes is None else boxes, 2, 2)), axis=1)
    return Sample(
        id=str(seed),
        label=int(rng.integers(8)),
        top5=rng.permutation(8)[:5],
        predicted_map=rng.random((4, 4), np.float32),
        label_map=rng.random((4, 4), np.float32),
        boxes_xyxy=corners.reshape(-1, 4).astype(np.float64),
        mask=rng.choice(np.array([0, 1, 255], np.uint8), (SIZE, SIZE)) if mask else None,
    )


def blob(x0, y0, x1, y1):
    score_map = np.zeros((SIZE, SIZE), np.float32)
    score_map[y0:y1, x0:x1] = 1
    return score_map


def accumulate(samples, options):
    accumulator = Accumulator(options)
    for sample in samples:
        accumulator.add(sample, measure(sample, options))
    return accumulator.sums()


def blob_sample(image_id, *, label, top5, predicted, true_class, truth):
    return Sample(
        id=image_id,
        label=label,
        top5=np.array(top5),
        predicted_map=blob(*predicted),
        label_map=blob(*true_class),
        boxes_xyxy=np.array(truth, np.float64),
    )


RIGHT, WRONG = (4, 4, 20, 20), (24, 24, 30, 30)
CASES = [
    blob_sample("a", label=0, top5=[0, 1], predicted=RIGHT, true_class=RIGHT, truth=[RIGHT]),
    blob_sample("b", label=0, top5=[1, 0], predicted=RIGHT, true_class=WRONG, truth=[WRONG, RIGHT]),
    blob_sample("c", label=1, top5=[2, 3], predicted=RIGHT, true_class=RIGHT, truth=[RIGHT]),
    blob_sample("d", label=1, top5=[1, 0], predicted=WRONG, true_class=WRONG, truth=[RIGHT]),
]


def test_hand_made_cases():
    options = make_settings()
    summary = summarize(accumulate(CASES, options), options)
    expected = {"top1_cls": 50, "top5_cls": 75, "gt_known_loc": 75, "top1_loc": 25, "top5_loc": 50}
    assert {name: summary[name] for name in expected} == expected
    assert summary["errors"]["correct"] == 25
    assert summary["errors"]["wrong_class"] == 50
    assert summary["mean_iou"] == pytest.approx(75)


def test_the_label_map_is_a_variant_of_its_own():
    cases = [
        blob_sample("a", label=0, top5=[1], predicted=WRONG, true_class=RIGHT, truth=[RIGHT]),
        blob_sample("b", label=0, top5=[0], predicted=WRONG, true_class=WRONG, truth=[RIGHT]),
    ]
    published, stated = make_settings(), make_settings(map_class="label")
    summary = summarize(accumulate(cases, published), published)
    assert (summary["gt_known_loc"], summary["label_gt_known_loc"], summary["map_class"]) == (
        0,
        50,
        "predicted",
    )
    summary = summarize(accumulate(cases, stated), stated)
    assert (summary["gt_known_loc"], summary["label_gt_known_loc"], summary["map_class"]) == (50, 50, "label")


def test_the_first_box_only():
    options = make_settings(first_box_only=True)
    assert summarize(accumulate(CASES, options), options)["gt_known_loc"] == 50


def test_numbers_carry_their_protocol_and_threshold():
    options = make_settings(WSOLEVAL_PROTOCOL, threshold=Threshold(0.3, "held-out", "val"))
    summary = summarize(accumulate(CASES, options), options)
    assert summary["protocol"] == "wsoleval"
    assert summary["threshold"] == 0.3
    assert summary["threshold_source"] == "held-out (val)"
    assert summary["max_box_acc_threshold_source"] == "oracle"
    json.dumps(summary)


def test_without_boxes_there_is_classification_only():
    options = make_settings()
    samples = [random_sample(seed, boxes=0) for seed in range(5)]
    summary = summarize(accumulate(samples, options), options)
    assert summary["num_images"] == 5
    assert summary["num_images_with_boxes"] == 0
    assert "top1_cls" in summary
    assert "gt_known_loc" not in summary
    assert set(summary["intervals_95"]) == {"top1_cls", "top5_cls"}
    assert measure(samples[0], options).box_xyxy.shape == (4,)


def test_images_without_boxes_do_not_dilute_localization():
    options = make_settings()
    samples = [*CASES, random_sample(1, boxes=0)]
    summary = summarize(accumulate(samples, options), options)
    assert summary["num_images"] == 5
    assert summary["gt_known_loc"] == 75


def test_no_images_at_all():
    options = make_settings()
    assert summarize(accumulate([], options), options)["top1_cls"] == 0


@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_a_network_that_says_nothing_has_finite_metrics(protocol, value):
    options = make_settings(protocol)
    empty = np.full((4, 4), value, np.float32)
    sample = dataclasses.replace(random_sample(0, mask=True), predicted_map=empty, label_map=empty)
    text = json.dumps(summarize(accumulate([sample], options), options), allow_nan=False)
    expected = [0, 0, SIZE, SIZE] if protocol is LCTR_PROTOCOL else [0, 0, 0, 0]
    np.testing.assert_array_equal(measure(sample, options).box_xyxy, expected)
    assert "gt_known_loc" in text


def test_sums_do_not_grow_with_the_images():
    options = make_settings()
    one = accumulate([random_sample(0)], options)
    many = accumulate([random_sample(seed) for seed in range(70)], options)
    shapes = [{name: value.shape for name, value in vars(sums).items()} for sums in (one, many)]
    assert shapes[0] == shapes[1]
    assert many.counts.images == 70


def test_a_label_out_of_range_is_refused():
    options = make_settings(num_classes=1)
    with pytest.raises(ValueError, match=r"label of c: got 1, expected 0 to 0"):
        accumulate(CASES[2:], options)


@settings(max_examples=15)
@given(
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=8, unique=True),
    cut=st.integers(0, 8),
    protocol=st.sampled_from([LCTR_PROTOCOL, WSOLEVAL_PROTOCOL]),
)
def test_neither_order_nor_sharding_changes_a_digit(seeds, cut, protocol):
    options = make_settings(protocol)
    samples = [random_sample(seed, mask=True) for seed in seeds]
    whole = accumulate(samples, options)
    joined = add_sums([accumulate(samples[cut:][::-1], options), accumulate(samples[:cut], options)])
    for name, value in vars(joined).items():
        np.testing.assert_array_equal(value, getattr(whole, name), err_msg=name)
    assert json.dumps(summarize(joined, options)) == json.dumps(summarize(whole, options))


@settings(max_examples=15)
@given(
    seeds=st.lists(st.integers(0, 999), min_size=1, max_size=8, unique=True),
    protocol=st.sampled_from([LCTR_PROTOCOL, WSOLEVAL_PROTOCOL]),
)
def test_orderings(seeds, protocol):
    options = make_settings(protocol)
    sums = accumulate([random_sample(seed) for seed in seeds], options)
    by_cut, summary = curves(sums), summarize(sums, options)
    for kind in ("max_box_acc", "max_box_acc_v2"):
        assert (by_cut[f"{kind}_30"] >= by_cut[f"{kind}_50"]).all()
        assert (by_cut[f"{kind}_50"] >= by_cut[f"{kind}_70"]).all()
    assert (by_cut["max_box_acc_v2_50"] >= by_cut["max_box_acc_50"]).all()
    assert (by_cut["gt_known_loc"] >= by_cut["top5_loc"]).all()
    assert (by_cut["top5_loc"] >= by_cut["top1_loc"]).all()
    assert summary["oracle_gt_known_loc"] >= summary["gt_known_loc"]
    assert sum(summary["errors"].values()) == pytest.approx(100)
    assert summary["errors"]["correct"] == summary["top1_loc"]
    correct_box = summary["errors"]["correct"] + summary["errors"]["wrong_class"]
    assert correct_box == pytest.approx(summary["gt_known_loc"])
    assert sum(summary["iou_histogram"]) == len(seeds)
    for name, (low, high) in summary["intervals_95"].items():
        assert 0 <= low <= high <= 100, name


def test_a_transferred_threshold_never_beats_the_oracle():
    options = make_settings(WSOLEVAL_PROTOCOL)
    held_out = accumulate([random_sample(seed) for seed in range(20)], options)
    test = accumulate([random_sample(seed) for seed in range(20, 40)], options)
    thresholds = choose_curve_thresholds(held_out, chosen_on="val")
    assert {each.describe() for each in (*thresholds.single, *thresholds.multi)} == {"held-out (val)"}
    options = dataclasses.replace(options, curve_thresholds=thresholds)
    transferred = oracle = summarize(test, options)
    assert transferred["box_acc"] <= oracle["max_box_acc"]
    assert transferred["box_acc_v2"] <= oracle["max_box_acc_v2"]
    on_itself = summarize(held_out, options)
    assert on_itself["box_acc"] == summarize(held_out, options)["max_box_acc"]
    assert on_itself["box_acc_v2"] == pytest.approx(summarize(held_out, options)["max_box_acc_v2"])


def test_the_class_table():
    options = make_settings()
    table = class_table(accumulate(CASES, options))
    assert [row["label"] for row in table] == [0, 1]
    assert [row["gt_known_loc"] for row in table] == [100, 50]
    assert [row["top1_loc"] for row in table] == [50, 0]
    assert [row["mean_iou"] for row in table] == pytest.approx([100, 50])

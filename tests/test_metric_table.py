"""The table of metrics, and the counts of maps and boxes that are no evidence."""

import dataclasses

import numpy as np
import pytest
from test_metrics import CASES, SIZE, accumulate, blob, make_settings, random_sample

from lctr_jax.localization import metrics
from lctr_jax.localization import summary as summary_module
from lctr_jax.localization.metric_values import percent
from lctr_jax.localization.metrics import METRICS, Metric
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL
from lctr_jax.localization.summary import (
    choose_curve_thresholds,
    curves,
    summarize,
)
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.report import metric_tables, summary_line

FLAT = np.zeros((4, 4), np.float32)


@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_flat_maps_are_counted(protocol, value):
    options = make_settings(protocol, map_class="predicted")
    flat = dataclasses.replace(random_sample(0), predicted_map=np.full((4, 4), value, np.float32))
    samples = [flat, *CASES, dataclasses.replace(random_sample(1, boxes=0), predicted_map=FLAT)]
    summary = summarize(accumulate(samples, options), options)
    assert summary["flat_maps"] == 2  # with and without true boxes
    assert summary["frame_covering_boxes"] == (2 if protocol is LCTR_PROTOCOL else 0)


@pytest.mark.parametrize(("side", "covering"), [(SIZE, 1), (SIZE - 2, 0)])
@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
def test_boxes_that_cover_the_frame_are_counted(protocol, side, covering):
    options = make_settings(protocol, threshold=Threshold(0.0))
    score_map = blob(0, 0, side, side)
    score_map[0, 0] = 2  # not flat
    case = dataclasses.replace(CASES[0], predicted_map=score_map + 1, label_map=score_map + 1)
    if side == SIZE:
        case = dataclasses.replace(case, predicted_map=score_map + FRAME, label_map=score_map + FRAME)
    summary = summarize(accumulate([case], options), options)
    assert (summary["flat_maps"], summary["frame_covering_boxes"]) == (0, covering)


FRAME = np.zeros((SIZE, SIZE), np.float32)
FRAME[SIZE // 2, SIZE // 2] = -1


def test_every_metric_of_the_table_is_in_the_summary():
    options = make_settings(WSOLEVAL_PROTOCOL)
    samples = [random_sample(seed, mask=True) for seed in range(20)]
    thresholds = choose_curve_thresholds(accumulate(samples, options), chosen_on="val")
    options = dataclasses.replace(options, curve_thresholds=thresholds)
    summary = summarize(accumulate(samples, options), options)
    assert {metric.name for metric in METRICS} <= summary.keys()
    with_interval = {metric.name for metric in METRICS if metric.from_counts}
    assert set(summary["intervals_95"]) == with_interval
    for name in with_interval:
        low, high = summary["intervals_95"][name]
        assert low <= high, name


def test_a_new_metric_is_an_entry_and_its_function(monkeypatch):
    """It then stands in metrics.json with its interval, in the report, on the terminal and in summaries."""
    strict = Metric(
        name="loc_at_70",
        title="Loc at IoU 0.7",
        meaning="MaxBoxAcc's box at the best threshold, IoU of 0.7 or more.",
        threshold="oracle",
        needs="boxes",
        from_counts=lambda counts, settings: percent(
            counts.single_located[..., 2, :], counts.boxed[..., None]
        ).max(-1),
        on_terminal=True,
    )
    for module in (metrics, summary_module, metric_tables, summary_line):
        monkeypatch.setattr(module, "METRICS", (*METRICS, strict))
    options = make_settings()
    summary = {"split": "test", **summarize(accumulate(CASES, options), options)}
    assert summary["loc_at_70"] == curves(accumulate(CASES, options))["max_box_acc_70"].max() == 75
    assert "loc_at_70" in summary["intervals_95"]
    assert metric_tables.metric_rows(summary)[-1].name == "Loc at IoU 0.7"
    assert "Loc at IoU 0.7 75.00" in summary_line.format_summary(summary)

"""The benchmark commands at their smallest settings, and their calculations."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from quick_compilation import child_flags

from benchmarks import cost_curves, many_images, pipeline, startup, step, step_case, threshold_rules
from benchmarks import predict as predict_benchmark
from benchmarks.all import page
from benchmarks.analytic import forward_flops, training_flops
from benchmarks.goals import goal_lines
from benchmarks.hlo import Collective
from benchmarks.matmul_peak import FLOPS, matmul_tasks, peak_flops
from benchmarks.measurement import show, summarize, summarize_ratio, time_interleaved
from benchmarks.photographs import photograph_records
from benchmarks.roofline import describe_collectives
from lctr_jax.inference.box_accuracy import MeasuredMap
from lctr_jax.models.spec import ModelSpec, model_spec

ROOT = Path(__file__).parents[1]
MINI = ModelSpec(num_classes=5, width=24, depth=2, heads=2, image_size=64)


def test_the_analytic_minimum_is_what_the_compiler_counts_and_does_not_grow_with_classes_times_positions():
    """At published sizes everything else (softmax, norms, GELU) is small: XLA's count is within 5 %."""
    assert training_flops(model_spec("deit_small", num_classes=200)) / 1e9 == pytest.approx(29.2, abs=0.1)
    more = forward_flops(model_spec("deit_small", num_classes=1000))
    few = forward_flops(model_spec("deit_small", num_classes=200))
    assert more - few == 800 * 2 * (9 * 384 + 1) * 4


def test_tasks_take_turns_and_the_first_round_only_warms_up():
    calls = []
    times = time_interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}


def test_ratios_are_taken_pair_by_pair():
    """A slow phase that affects both of a pair changes the medians but not the ratio."""
    assert summarize_ratio([2.0, 20.0, 4.0], [1.0, 10.0, 2.0])["median"] == 2
    assert summarize([1.0, 2.0, 9.0])["median"] == 2
    assert show(summarize([1.0, 2.0, 3.0]), 1) == "2.0 (1.5-2.5)"
    assert show(None) == ""


def test_the_peak_is_the_fastest_products():
    assert peak_flops({"matmul, a": [2.0, 4.0], "matmul, b": [3.0, 1.0], "ours": [0.1]}) == FLOPS
    product = matmul_tasks("float32")["matmul, numpy"]()
    assert product.shape == (2048, 2048)


def test_collectives_are_reported_by_kind():
    found = [Collective("all-reduce", 500_000, 12), Collective("all-reduce", 4_000_000, 1)]
    assert describe_collectives(found) == "13 all-reduce, 10.0 MB"


@pytest.mark.slow
def test_other_programs_may_time_our_side(monkeypatch):
    monkeypatch.setattr("benchmarks.sides.published_spec", lambda *_, **__: MINI)
    monkeypatch.setattr(
        "benchmarks.sides.random_batch",
        lambda batch, classes: (np.zeros((batch, 64, 64, 3), np.uint8), np.zeros(batch, np.int32)),
    )
    train, evaluate = step.project_sides(8, 5, "deit_tiny", "float32")
    losses = [float(train().loss) for _ in range(3)]
    assert losses[2] < losses[0]  # training continues from its own state
    assert evaluate().class_maps.shape == (8, 2, 4, 4)
    assert jax.tree.all(jax.tree.map(lambda array: np.isfinite(array).all(), evaluate()))


@pytest.mark.slow
def test_a_methods_training_step_is_timed_beside_lctrs(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.sides.published_spec", lambda *_, method, **__: replace(MINI, method=method)
    )
    batch = np.zeros((8, 64, 64, 3), np.uint8), np.zeros(8, np.int32)
    monkeypatch.setattr("benchmarks.sides.random_batch", lambda *_: batch)
    case = step.Case(batch=8, classes=5, size="mini", dtype="float32", rounds=1, method="trilite")
    row = {**case._asdict(), "malloc": "default", **step_case.time_method(case)}
    table = step.method_table([row])
    assert table["columns"][-2:] == ["lctr / trilite", "lctr / trilite on cached features"]
    assert all(float(cell.split()[0]) > 0 for cell in table["rows"][0][-2:])


def test_our_side_is_importable_without_torch():
    code = "import sys; sys.modules['torch'] = None; from benchmarks.step import project_sides"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow
def test_a_case_measures_itself_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", child_flags(1))
    case = step.Case(batch=8, classes=5, size="deit_tiny", dtype="float32", with_torch=False)
    assert (
        step.run_child("memory", case, "default")["bytes"] > 4 * 3 * 5_000_000
    )  # weights and AdamW's moments
    json.dumps(case._asdict())


REPORT = {
    "cases": [
        {
            "size": "deit_small",
            "classes": 200,
            "dtype": "float32",
            "batch": 16,
            "malloc": malloc,
            "train": {"ratio": {"median": 1.25}, "ours_of_peak": share, "torch_of_peak": 0.6},
            "evaluate": {"ratio": {"median": 1.2}},
            "memory_bytes": {"ours": 6, "torch": 10},
        }
        for malloc, share in (("huge", 0.8), ("default", 0.7))
    ],
    "compile": [{"depth": depth, "trace_seconds": 1.0, "compile_seconds": 5.0} for depth in (12, 24)],
}


def test_the_results_page_holds_goals_what_was_printed_and_what_failed():
    step = {"figures": REPORT, "command": "python -m benchmarks.step", "seconds": 120, "printed": "A table\n"}
    text = page({"step": step}, ["faults"])
    reason = "PyTorch reaches 0.60 of the peak here, so that would be 0.87 of it"
    assert f"200 classes, malloc huge | at least 1.45 | 1.25 | no: {reason} |" in text
    assert (
        "| train, share of the peak rate, 200 classes, malloc default | at least 0.75 | 0.70 | no: " in text
    )
    assert "share of the peak rate, 200 classes, malloc huge" not in text
    assert "| evaluate, PyTorch / ours, 200 classes, malloc huge | at least 1.2 | 1.20 | yes |" in text
    assert (
        "| peak memory of training, ours / PyTorch, 200 classes, malloc huge | at most 0.7 | 0.60 | yes |"
        in text
    )
    assert "| compile, depth 24 over depth 12 | at most 1.2 | 1.00 | yes |" in text
    assert "`python -m benchmarks.step` (2 min)\n\n```\nA table\n```" in text
    assert "**faults failed.**" in text


def test_the_goals_of_a_tpus_step_are_its_main_memory_and_sums_over_devices():
    row = {
        **{"case": "cub", "topology": "v5e:2x4", "program": "ours", "images_per_chip": 128},
        **{"flops_per_image": 30e9, "minimum_flops_per_image": 29e9, "main_memory_bytes": 15e9},
        **{"temporary_bytes": 2.7e9, "peak_bytes": 3e9},
        **{
            "collectives": [
                {"kind": "all-reduce", "num_bytes": 1, "executions": number} for number in (12, 2)
            ]
        },
    }
    lines = "\n".join(goal_lines({"roofline": {"rows": [row]}}))
    assert "| main memory, GB, cub, v5e:2x4 | at most 26 | 15.00 | yes |" in lines
    assert "| sums over devices, cub, v5e:2x4 | at most 4 | 14.00 | no: one sum per block" in lines


def test_the_memory_for_names_is_measured_and_small(tmp_path):
    scratch = [tmp_path / "first", tmp_path / "second"]
    for folder in scratch:
        folder.mkdir()
    first, second = (many_images.measure(folder, images=2000) for folder in scratch)
    assert set(first) == {"listing the folder", "names of overlays", "resuming"}
    # Less than 1 kB per image, in the run that threads of earlier tests disturbed less.
    assert all(0 < min(first[name], second[name]) < 2000 * 1e-3 for name in first)


def test_starts_are_timed_until_a_line_is_printed():
    code = (
        "import sys; print('step  12/30  loss', file=sys.stderr, flush=True); sys.stdin.read(); sys.exit(1)"
    )
    assert 0 < startup.seconds_to_line("step 12/", ["-c", code], {}) < 60
    with pytest.raises(RuntimeError, match="no such file"):
        startup.seconds_to_line("step 1/", ["-c", "import sys; sys.exit('no such file')"], {})
    times = {"seconds": {"median": 0.1, "first_quartile": 0.1, "third_quartile": 0.1}}
    step = {"median": 0.5, "first_quartile": 0.4, "third_quartile": 0.6}
    report = {
        "commands": {"train.py --help": times | {"ratio": times["seconds"]}},
        "first_step": {"empty": step, "filled": step, "ratio": step},
    }
    assert "| train.py --help, seconds | at most 0.7 | 0.10 | yes |" in goal_lines({"startup": report})
    assert ["train.py --help", "0.10 (0.10-0.10)", "0.10 (0.10-0.10)"] in startup.table(report)["rows"]


def test_prediction_is_timed_against_its_forward_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(predict_benchmark, "model_spec", lambda *_, **__: MINI)
    report = predict_benchmark.measure(tmp_path, images=5, batch_size=2)
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 5
    assert report["ratio"] == report["predicted_per_second"] / report["forward_per_second"]["median"]
    assert 0 < report["ratio"] < 1
    assert "lctr_jax.predict" in str(predict_benchmark.table(report))


def test_the_pipelines_stages_are_timed_beside_pils():
    stages = pipeline.time_stages(photograph_records(2), rounds=1)
    assert list(stages) == ["decode", "crop and resize", "RandAugment"]
    for stage in stages.values():
        assert stage["over_pil"] == stage["PIL"]["median"] / stage["ours"]["median"]
    assert "crop and resize" in str(pipeline.describe_stages(stages))


def test_costs_over_records_are_measured_and_flat_ones_named(monkeypatch):
    monkeypatch.setattr(cost_curves, "_READS", 10)
    rows = cost_curves.read_costs((10_000, 20_000))
    assert [row["records"] for row in rows] == [10_000, 20_000]
    steps = [{"classes": number, "gflop": 29.0 + number / 1e5} for number in (10, 1000, 21841)]
    lines = goal_lines({"cost_curves": {"classes": steps, "experts": steps, "records": rows}})
    assert "10 to 1000 classes, largest / smallest | at most 1.05 | 1.00 | yes |" in lines[0]


@pytest.mark.slow
def test_thresholds_are_compared_on_other_images_than_they_are_calibrated_on():
    levels = np.zeros((10, 10), np.uint8)
    levels[:, :3] = 120  # 30 % of the image; Otsu's threshold lies between 0 and 120
    levels[0, 0] = 255

    def measured(low, high):
        inside = (np.arange(256) >= low) & (np.arange(256) < high)
        return [MeasuredMap(str(index), levels, inside * 0.8) for index in range(30)]

    located = threshold_rules.measure_rules(threshold_rules.Case(measured(60, 70), measured(0, 65)))
    assert located["calibrated on all"] == located["calibrated on 20 images"] == 100
    assert (located["fixed 0.09"], located["fixed 0.5"], located["Otsu"]) == (100, 0, 100)
    assert (located["10 % of the image"], located["30 % of the image"]) == (0, 100)
    report = {"images": {"digits": [30, 30]}, "figures": {"digits": located}}
    assert ["Otsu", "100.0"] in threshold_rules.table(report)["rows"]

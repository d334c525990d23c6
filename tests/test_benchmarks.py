"""The benchmark commands at their smallest settings, and their calculations."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import step
from benchmarks.all import page
from benchmarks.analytic import forward_flops, training_flops
from benchmarks.hlo import Collective
from benchmarks.matmul_peak import FLOPS, matmul_tasks, peak_flops
from benchmarks.measurement import show, summarize, summarize_ratio, time_interleaved
from benchmarks.roofline import describe_collectives
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


def test_our_side_is_importable_without_torch():
    code = "import sys; sys.modules['torch'] = None; from benchmarks.step import project_sides"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_case_measures_itself_in_a_process_of_its_own():
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
            "malloc": "huge",
            "train": {"ratio": {"median": 1.25}},
            "evaluate": {"ratio": {"median": 1.2}},
            "memory_bytes": {"ours": 6, "torch": 10},
        }
    ],
    "compile": [{"depth": depth, "trace_seconds": 1.0, "compile_seconds": 5.0} for depth in (12, 24)],
}


def test_the_results_page_holds_goals_what_was_printed_and_what_failed():
    step = {"figures": REPORT, "command": "python -m benchmarks.step", "seconds": 120, "printed": "A table\n"}
    text = page({"step": step}, ["faults"])
    assert "| train, PyTorch / ours, 200 classes, malloc huge | at least 1.3 | 1.25 | no |" in text
    assert "| evaluate, PyTorch / ours, 200 classes, malloc huge | at least 1.2 | 1.20 | yes |" in text
    assert (
        "| peak memory of training, ours / PyTorch, 200 classes, malloc huge | at most 0.7 | 0.60 | yes |"
        in text
    )
    assert "| compile, depth 24 over depth 12 | at most 1.2 | 1.00 | yes |" in text
    assert "`python -m benchmarks.step` (2 min)\n\n```\nA table\n```" in text
    assert "**faults failed.**" in text

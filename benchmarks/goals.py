"""Performance goals of the project, with measured values."""

from collections.abc import Iterator
from typing import Any, NamedTuple

PREDICTION = 0.85
"""Share of the forward pass's rate that evaluation and `lctr_jax.predict` are to reach."""

HELP_SECONDS = 0.7
"""Until a command has printed its usage."""

FIRST_STEP = 0.6
"""Time to the first step with compiled programs of an earlier run, as a share of the time without."""

PIPELINE = 1000
"""Images per core second of the training pipeline with the published recipe."""

OF_PEAK, HUGE_PAGES = 0.75, 1.45
"""A training step's share of the fastest matrix product, and its speed over PyTorch's with huge pages."""

MAIN_MEMORY, REDUCTIONS = 26, 4
"""GB per TPU chip and training step, and sums over devices."""

_REST = "dense products alone take 55 % of the step at that rate; softmax, small products and copies the rest"
_IN_LOOP = "one sum per block: two after the loop need 1 GB more memory traffic (docs/scaling.md)"
_SHARED_PAGES = "each batch comes in new shared memory, whose pages the kernel clears and maps"
_ALL_CORES = "with all cores at work; one alone is faster (docs/benchmarks.md)"
_HOST = "decoding, boxes and drawing take the cores from the forward pass"


class Goal(NamedTuple):
    """A bound and the measured value.

    Attributes:
        name: what is measured.
        wanted: the bound.
        measured: the value.
        at_least: whether it is a lower bound.
        limit: what limits it, shown if it is not reached.
    """

    name: str
    wanted: float
    measured: float
    at_least: bool
    limit: str = ""


def goal_lines(reports: dict[str, dict[str, Any]]) -> list[str]:
    """Return a Markdown row for every goal that the reports contain a value for."""
    goals = []
    if "step" in reports:
        goals += _step_goals(reports["step"])
    if "roofline" in reports:
        goals += _roofline_goals(reports["roofline"])
    if "evaluation" in reports:
        for name, row in reports["evaluation"]["whole"].items():
            name = f"evaluation by {name} / forward pass, images per second"
            goals.append(Goal(name, PREDICTION, row["share"]["median"], True, _HOST))
    if "predict" in reports:
        report = reports["predict"]
        name = f"predict / forward pass, images per second, {report['images']:,} photographs"
        goals.append(Goal(name, PREDICTION, report["ratio"], True, _HOST))
    if "pipeline" in reports:
        goals += _pipeline_goals(reports["pipeline"])
    if "cost_curves" in reports:
        goals += _flat_goals(reports["cost_curves"])
    if "startup" in reports:
        goals += _startup_goals(reports["startup"])
    return [_line(goal) for goal in goals]


def _startup_goals(report: dict[str, Any]) -> Iterator[Goal]:
    for name, found in report["commands"].items():
        if name.endswith("--help"):
            yield Goal(f"{name}, seconds", HELP_SECONDS, found["seconds"]["median"], False)
    measured = report["first_step"]["ratio"]["median"]
    yield Goal("first step of the digits demo, compiled before / not", FIRST_STEP, measured, False)


def _pipeline_goals(report: dict[str, Any]) -> Iterator[Goal]:
    for row in report["pipelines"]:
        if row["pipeline"] == "ours":
            name = f"training pipeline, images per core second, {row['workers'] or 'no'} workers"
            limit = f"{_SHARED_PAGES}, {_ALL_CORES}" if row["workers"] else _ALL_CORES
            yield Goal(name, PIPELINE, row["per_core_second"]["median"], True, limit)


def _flat_goals(report: dict[str, Any]) -> Iterator[Goal]:
    few = [row for row in report["classes"] if row["classes"] <= 1000]
    for rows, key, bound, name in (
        (few, "gflop", 1.05, "FLOPs of a training step, 10 to 1000 classes"),
        (report["classes"], "gflop", 1.1, "FLOPs of a training step, 10 to 21,841 classes"),
        (report["experts"], "gflop", 1.05, "FLOPs of a training step, 1 to 16 experts"),
        (report["records"], "microseconds", 1.5, "time to read a record, 10,000 to 10 million records"),
    ):
        values = [row[key] for row in rows]
        yield Goal(f"{name}, largest / smallest", bound, max(values) / min(values), False)


def _step_goals(report: dict[str, Any]) -> Iterator[Goal]:
    training = {200: 1.3, 1000: 1.6}
    for case in report["cases"]:
        published = (case["size"], case["dtype"], case["batch"]) == ("deit_small", "float32", 16)
        if not published or case["classes"] not in training or "ratio" not in case["train"]:
            continue
        where = f"{case['classes']} classes, malloc {case['malloc']}"
        speedup, theirs = case["train"]["ratio"]["median"], case["train"]["torch_of_peak"]
        huge = case["malloc"] == "huge"
        wanted = max(HUGE_PAGES, training[case["classes"]]) if huge else training[case["classes"]]
        limit = f"PyTorch reaches {theirs:.2f} of the peak here, so that would be {wanted * theirs:.2f} of it"
        yield Goal(f"train, PyTorch / ours, {where}", wanted, speedup, True, limit)
        if not huge:
            share = case["train"]["ours_of_peak"]
            yield Goal(f"train, share of the peak rate, {where}", OF_PEAK, share, True, _REST)
        yield Goal(f"evaluate, PyTorch / ours, {where}", 1.2, case["evaluate"]["ratio"]["median"], True)
        memory = case["memory_bytes"]["ours"] / case["memory_bytes"]["torch"]
        yield Goal(f"peak memory of training, ours / PyTorch, {where}", 0.7, memory, False)
    seconds = {row["depth"]: row["trace_seconds"] + row["compile_seconds"] for row in report["compile"]}
    if 12 in seconds:
        yield Goal("compile the training step, seconds", 10, seconds[12], False)
    if 12 in seconds and 24 in seconds:
        yield Goal("compile, depth 24 over depth 12", 1.2, seconds[24] / seconds[12], False)


def _roofline_goals(report: dict[str, Any]) -> Iterator[Goal]:
    for row in report["rows"]:
        if row["program"] != "ours":
            continue
        where = f"{row['case']}, {row['topology']}"
        over = row["flops_per_image"] / row["minimum_flops_per_image"]
        yield Goal(f"FLOPs over the analytic minimum, {where}", 1.05, over, False)
        if row["images_per_chip"] == 128 and row["case"] in ("cub", "imagenet"):
            if row["main_memory_bytes"] and row["case"] == "cub":
                yield Goal(f"main memory, GB, {where}", MAIN_MEMORY, row["main_memory_bytes"] / 1e9, False)
                sums = sum(one["executions"] for one in row["collectives"] if one["kind"] == "all-reduce")
                yield Goal(f"sums over devices, {where}", REDUCTIONS, sums, False, _IN_LOOP)
            yield Goal(f"temporary memory, GB, {where}", 3, row["temporary_bytes"] / 1e9, False)
            yield Goal(f"memory of a chip, GB, {where}", 16, row["peak_bytes"] / 1e9, False)


def _line(goal: Goal) -> str:
    reached = goal.measured >= goal.wanted if goal.at_least else goal.measured <= goal.wanted
    bound = "at least" if goal.at_least else "at most"
    answer = "yes" if reached else f"no: {goal.limit}" if goal.limit else "no"
    return f"| {goal.name} | {bound} {goal.wanted:g} | {goal.measured:.2f} | {answer} |"

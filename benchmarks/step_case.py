"""One case of `benchmarks.step` in its own process, so that memory measurements are independent.

python -m benchmarks.step_case time|method|memory|compile CASE

It prints one line of JSON; CASE is JSON as well.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp

from benchmarks.analytic import forward_flops, training_flops
from benchmarks.matmul_peak import matmul_tasks, peak_flops
from benchmarks.measurement import Task, summarize, summarize_ratio, time_interleaved
from benchmarks.programs import lower_ours, published_spec
from benchmarks.sides import our_cached_training, our_training, project_sides, torch_sides, torch_training
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.models.methods import get_method


class Case(NamedTuple):
    """What is measured: sizes for `project_sides`, rounds, and whether PyTorch is included."""

    batch: int
    classes: int
    size: str
    dtype: str
    rounds: int = 3
    with_torch: bool = True
    side: str = "ours"  # for "memory"
    depth: int = 12  # for "compile"
    method: str = "lctr"  # for "method"


def time_steps(case: Case) -> dict[str, Any]:
    """Measure seconds per step of both sides, ratios torch / ours, and the share of this machine's peak."""
    sizes = (case.batch, case.classes, case.size, case.dtype)
    ours = project_sides(*sizes)
    theirs = torch_sides(*sizes) if case.with_torch else None
    spec = published_spec(case.size, classes=case.classes, dtype=case.dtype)
    report = {}
    flops = {"train": training_flops(spec), "evaluate": forward_flops(spec)}
    for index, kind in enumerate(("train", "evaluate")):
        tasks: dict[str, Task] = {"ours": ours[index]}
        if theirs:
            tasks["torch"] = theirs[index]
        times = time_interleaved(tasks | matmul_tasks(case.dtype), rounds=case.rounds)
        peak = peak_flops(times)
        report[kind] = {
            "peak_gflops": peak / 1e9,
            **{f"{name}_seconds": summarize(times[name]) for name in tasks},
            **{f"{name}_of_peak": _share(times[name], flops[kind] * case.batch / peak) for name in tasks},
        }
        if theirs:
            report[kind]["ratio"] = summarize_ratio(times["torch"], times["ours"])
    return report


def time_method(case: Case) -> dict[str, Any]:
    """Time alternating training steps of LCTR and another method, in seconds; the ratio is LCTR / method.

    For a method with a frozen backbone, "cached" is its step on cached features.
    """
    sizes = (case.batch, case.classes, case.size, case.dtype)
    tasks: dict[str, Task] = {method: our_training(*sizes, method=method) for method in ("lctr", case.method)}
    if "backbone" in get_method(case.method).frozen:
        tasks["cached"] = our_cached_training(*sizes, method=case.method)
    times = time_interleaved(tasks, rounds=case.rounds)
    report = {
        "lctr_seconds": summarize(times["lctr"]),
        "method_seconds": summarize(times[case.method]),
        "ratio": summarize_ratio(times["lctr"], times[case.method]),
    }
    if "cached" in tasks:
        report |= {
            "cached_seconds": summarize(times["cached"]),
            "cached_ratio": summarize_ratio(times["lctr"], times["cached"]),
        }
    return report


def measure_memory(case: Case) -> dict[str, Any]:
    """Measure the bytes that two training steps of one side add to the peak of this process after imports."""
    jnp.zeros(1).block_until_ready()  # initializing the backend counts as part of the imports
    baseline = _peak_rss()
    train = {"ours": our_training, "torch": torch_training}[case.side]
    step = train(case.batch, case.classes, case.size, case.dtype)
    step()
    step()
    return {"bytes": _peak_rss() - baseline}


def time_compilation(case: Case) -> dict[str, Any]:
    """Measure the seconds to trace and to compile our training step."""
    spec = published_spec(case.size, classes=case.classes, dtype=case.dtype, depth=case.depth)
    start = time.perf_counter()
    lowered = lower_ours(spec, make_mesh(), case.batch)
    traced = time.perf_counter()
    lowered.compile()
    return {"trace_seconds": traced - start, "compile_seconds": time.perf_counter() - traced}


def _share(seconds: list[float], at_peak: float) -> float:
    return at_peak / summarize(seconds)["median"]


def _peak_rss() -> int:
    # Not ru_maxrss, which a process inherits from its parent.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    return 1024 * int(peak.group(1))


def main() -> None:
    """Run the command line."""
    kind, case = sys.argv[1], Case(**json.loads(sys.argv[2]))
    if case.with_torch:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
    tasks = {"time": time_steps, "method": time_method, "memory": measure_memory, "compile": time_compilation}
    print(json.dumps(tasks[kind](case)))


if __name__ == "__main__":
    main()

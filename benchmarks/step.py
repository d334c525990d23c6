"""A training and an evaluation step, compared with a PyTorch LCTR with the published cost structure.

python -m benchmarks.step [--sizes deit_small] [--classes 200 1000] [--dtypes float32] [--batch 16]
    [--rounds 3] [--malloc default huge] [--method METHOD] [--json FILE]

Every case runs in its own process, where both sides alternate with as many threads as the process may use,
after one warm-up step each; the table shows medians and quartiles, and the median of the pairs' ratios.
Training: ours as in `train.py`, PyTorch's a plain AdamW step, both without random erasing. Evaluation: ours
with logits, top five, relation map and maps of two classes, PyTorch's with logits and one map. bfloat16: ours
as configured, PyTorch's by autocast.

With --method, such as trilite, only the training steps of that method and of LCTR are compared; if its
backbone is frozen, also its step on features that are computed once (train.cached_crops).

Malloc "huge": both sides with GLIBC_TUNABLES=glibc.malloc.hugetlb=1, as suggested in the README. Memory: what
two training steps add to the peak of a process after all imports, including compilation.
"""

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measurement import describe_machine, show, write_report
from benchmarks.sides import project_sides
from benchmarks.step_case import Case
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument
from lctr_jax.models.methods import METHODS
from lctr_jax.models.spec import BACKBONES

__all__ = ["main", "project_sides"]

MALLOC = {"default": "", "huge": "glibc.malloc.hugetlb=1"}


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    with_torch = importlib.util.find_spec("torch") is not None
    cases = [
        Case(options.batch, classes, size, dtype, options.rounds, with_torch)
        for size, classes, dtype in itertools.product(options.sizes, options.classes, options.dtypes)
    ]
    if options.method:
        rows = [measure_method(case, malloc, options.method) for case in cases for malloc in options.malloc]
        report = {"machine": describe_machine("jaxlib", "flax"), "cases": rows}
        write_report(report | {"tables": [method_table(rows)], "notes": notes(True)[:1]}, options.json)
        return
    results = [measure(case, malloc) for case in cases for malloc in options.malloc]
    report = {
        "machine": describe_machine("jaxlib", "flax", "torch"),
        "cases": results,
        "compile": [measure_compilation(cases[0], depth) for depth in options.depths],
    }
    report |= {"tables": list(tables(report)), "notes": notes(with_torch)}
    write_report(report, options.json)


def measure(case: Case, malloc: str) -> dict[str, Any]:
    """Measure times and memory of one case with one allocator."""
    sides = ["ours", "torch"] if case.with_torch else ["ours"]
    memory = {side: run_child("memory", case._replace(side=side), malloc)["bytes"] for side in sides}
    return {**case._asdict(), "malloc": malloc, **run_child("time", case, malloc), "memory_bytes": memory}


def measure_method(case: Case, malloc: str, method: str) -> dict[str, Any]:
    """Measure our training steps of LCTR and of another method."""
    case = case._replace(method=method, with_torch=False)
    return {**case._asdict(), "malloc": malloc, **run_child("method", case, malloc)}


def measure_compilation(case: Case, depth: int) -> dict[str, Any]:
    """Measure the seconds to compile our training step at that depth."""
    return {"depth": depth, **run_child("compile", case._replace(depth=depth), "default")}


def run_child(kind: str, case: Case, malloc: str) -> dict[str, Any]:
    """Run `benchmarks.step_case` and return its result."""
    command = [sys.executable, "-m", "benchmarks.step_case", kind, json.dumps(case._asdict())]
    environment = {**os.environ, "GLIBC_TUNABLES": MALLOC[malloc]}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"{kind} of {case}: the process ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def tables(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield tables of both kinds of step, memory and compilation."""
    for kind in ("train", "evaluate"):
        yield {
            "title": f"{kind}: seconds per step, median (quartiles)",
            "columns": [
                "case",
                "malloc",
                "ours",
                "PyTorch",
                "PyTorch / ours",
                "images/s",
                "of peak",
                "PyTorch",
            ],
            "rows": [_row(case, case[kind]) for case in report["cases"]],
        }
    yield {
        "title": "Peak memory of training, GB",
        "columns": ["case", "malloc", "ours", "PyTorch", "ours / PyTorch"],
        "rows": [_memory_row(case) for case in report["cases"]],
    }
    yield {
        "title": f"Compiling our training step ({_name(report['cases'][0])}), seconds",
        "columns": ["depth", "trace", "compile"],
        "rows": [
            [str(row["depth"]), show(row["trace_seconds"]), show(row["compile_seconds"])]
            for row in report["compile"]
        ],
    }


def method_table(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Build the table of training steps of a method and of LCTR."""
    method, rows = cases[0]["method"], []
    sides = {"lctr": "lctr", "method": method, "cached": f"{method} on cached features"}
    sides = {side: title for side, title in sides.items() if f"{side}_seconds" in cases[0]}
    ratios = {"ratio": f"lctr / {method}", "cached_ratio": f"lctr / {method} on cached features"}
    ratios = {ratio: title for ratio, title in ratios.items() if ratio in cases[0]}
    for case in cases:
        seconds = [case[f"{side}_seconds"] for side in sides]
        rates = [show(case["batch"] / each["median"], 1) for each in seconds]
        rows.append(
            [_name(case), case["malloc"], *map(show, seconds), *rates, *map(show, map(case.get, ratios))]
        )
    columns = [f"{title}, {unit}" for unit in ("seconds", "images/s") for title in sides.values()]
    columns += ratios.values()
    return {
        "title": "Training steps, median (quartiles)",
        "columns": ["case", "malloc", *columns],
        "rows": rows,
    }


def notes(with_torch: bool) -> list[str]:
    """Return notes on reading the tables."""
    lines = [
        "case: size, classes, data type, images per step; images/s: ours.",
        "of peak (ours, PyTorch): analytic FLOPs (benchmarks/analytic.py) over the fastest product of two"
        " 2048 x 2048 matrices in NumPy, JAX or PyTorch, timed in the same rounds.",
        "malloc huge: GLIBC_TUNABLES=glibc.malloc.hugetlb=1 for both sides; default: unset for both.",
    ]
    if not with_torch:
        lines.append("PyTorch's side is skipped: torch is not installed")
    return lines


def _row(case: dict[str, Any], step: dict[str, Any]) -> list[str]:
    rate = case["batch"] / step["ours_seconds"]["median"]
    return [
        _name(case),
        case["malloc"],
        show(step["ours_seconds"]),
        show(step.get("torch_seconds")),
        show(step.get("ratio")),
        show(rate, 1),
        show(step["ours_of_peak"]),
        show(step.get("torch_of_peak")),
    ]


def _memory_row(case: dict[str, Any]) -> list[str]:
    ours, theirs = case["memory_bytes"]["ours"], case["memory_bytes"].get("torch")
    cells = [show(ours / 1e9), show(theirs and theirs / 1e9), show(theirs and ours / theirs)]
    return [_name(case), case["malloc"], *cells]


def _name(case: dict[str, Any]) -> str:
    return f"{case['size']} {case['classes']} {case['dtype']} x{case['batch']}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", nargs="+", default=["deit_small"], choices=[*BACKBONES], metavar="SIZE")
    parser.add_argument("--classes", nargs="+", type=int, default=[200, 1000], metavar="K")
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--malloc", nargs="+", default=["default", "huge"], choices=[*MALLOC])
    parser.add_argument("--method", choices=[*METHODS], help="compare only its training step with LCTR's")
    parser.add_argument("--depths", nargs="+", type=int, default=[12, 24], help="depths to compile")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

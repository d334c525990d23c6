"""Costs of the training step as reported by the compiler: FLOPs, memory traffic, memory, collectives.

python -m benchmarks.roofline [--cases cub imagenet base] [--topologies v5e:2x4 h100:8 a100:8] [--forward]
    [--naive] [--images 128] [--json FILE]

The step is compiled ahead of time in bfloat16 for TPUs and GPUs, which need not be present, if their compiler
is installed (extras [tpu-compiler] and [gpu-compiler]); otherwise for this CPU, where only the FLOPs are
meaningful. --forward adds evaluation with logits and maps; --naive adds a line-by-line port
(benchmarks/naive_lctr.py; minutes to compile). The analytic minimum of the FLOPs is that of
benchmarks/analytic.py. Memory traffic is XLA's "bytes accessed", and for TPUs also what
reaches main memory (benchmarks/memory_traffic.py). XLA counts a loop body once; here all iterations are
included (benchmarks/loop_costs.py). For GPUs XLA estimates neither; reported are memory, GPUs
with enough memory, collectives, and calls of cuDNN's attention.
"""

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import memory_fit
from benchmarks.analytic import forward_flops, training_flops
from benchmarks.compiled import analyze
from benchmarks.hlo import Collective
from benchmarks.measurement import describe_machine, show, write_report
from benchmarks.programs import lower_forward, lower_naive, lower_ours, published_spec
from benchmarks.topology import available, compile_for, is_gpu, mesh_on_paper
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument

CASES = {  # size and classes; the first two as in the configs of these names
    "cub": ("deit_small", 200),
    "imagenet": ("deit_small", 1000),
    "base": ("deit_base", 1000),
}
THIS_CPU = "this CPU"
# Rates of one TPU v5e: cloud.google.com/tpu/docs/v5e, "System architecture".
FLOPS_PER_SECOND, BYTES_PER_SECOND = 197e12, 819e9
# Corresponds to four arrays of 128 x 128 multiply-adds per cycle.
CYCLES_PER_SECOND = FLOPS_PER_SECOND / (4 * 128 * 128 * 2)


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    topologies, left_out = available(options.topologies)
    on_paper = bool(topologies)
    programs = ["ours", *["forward"] * options.forward, *["naive"] * options.naive]
    rows = [
        measure(case, topology, program, images=options.images if on_paper else 8)
        for case, topology, program in itertools.product(options.cases, topologies or [THIS_CPU], programs)
        # A chip's share of the naive port's costs is the same for any number of chips.
        if program != "naive" or topology == topologies[0]
    ]
    report: dict[str, Any] = {"machine": describe_machine("jaxlib", "libtpu"), "rows": rows}
    report |= {"tables": list(tables(rows)), "notes": [*left_out, *notes(rows)]}
    write_report(report, options.json)


def measure(case: str, topology: str, program: str, *, images: int) -> dict[str, Any]:
    """Compile one program with `images` per chip and return its costs."""
    size, classes = CASES[case]
    on_paper = topology != THIS_CPU
    mesh = mesh_on_paper(topology) if on_paper else make_mesh()
    spec = published_spec(size, classes=classes, dtype="bfloat16" if on_paper else "float32")
    lower = {"ours": lower_ours, "forward": lower_forward, "naive": lower_naive}[program]
    minimum = forward_flops if program == "forward" else training_flops
    start = time.perf_counter()
    compiled = compile_for(mesh, lower(spec, mesh, images * mesh.size))
    costs = analyze(compiled, tokens=spec.prefix_tokens + spec.grid[0] * spec.grid[1])
    on_tpu = on_paper and not is_gpu(topology)
    return {
        "case": case,
        "topology": topology,
        "program": program,
        "images_per_chip": images,
        "flops_per_image": costs.flops and costs.flops / images,
        "minimum_flops_per_image": minimum(spec),
        "bytes_accessed": costs.bytes_accessed,
        "main_memory_bytes": costs.main_memory_bytes if on_tpu else None,
        "temporary_bytes": costs.temporary_bytes,
        "peak_bytes": costs.peak_bytes,
        "collectives": [one._asdict() for one in costs.collectives],
        "arithmetic_seconds": costs.flops / FLOPS_PER_SECOND if on_tpu and costs.flops else None,
        "memory_seconds": costs.main_memory_bytes / BYTES_PER_SECOND if on_tpu else None,
        "estimated_seconds": costs.estimated_cycles / CYCLES_PER_SECOND if on_tpu else None,
        "fused_attention": costs.fused_attention,
        "float32_scores": list(costs.float32_scores),
        "compile_seconds": time.perf_counter() - start,
    }


def tables(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield tables of FLOPs if known, memory of TPUs and GPUs, times of TPUs, attention and fit of GPUs."""
    if known := [row for row in rows if row["flops_per_image"] is not None]:
        yield _flops_table(known)
    if on_paper := [row for row in rows if row["topology"] != THIS_CPU]:
        yield _memory_table(on_paper)
    if on_tpus := [row for row in on_paper if row["arithmetic_seconds"] is not None]:
        yield _time_table(on_tpus)
    if on_gpus := [row for row in on_paper if is_gpu(row["topology"])]:
        yield _gpu_table(on_gpus)


def _flops_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": "FLOPs per image",
        "columns": ["program", "GFLOP", "analytic minimum", "over it"],
        "rows": [
            [
                _name(row),
                show(row["flops_per_image"] / 1e9),
                show(row["minimum_flops_per_image"] / 1e9),
                show(100 * (row["flops_per_image"] / row["minimum_flops_per_image"] - 1), 1) + " %",
            ]
            for row in rows
        ],
    }


def _memory_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": f"Per device, {rows[0]['images_per_chip']} images, GB",
        "columns": ["program", "bytes accessed", "main memory", "temporary", "peak", "collectives"],
        "rows": [
            [
                _name(row),
                show(row["bytes_accessed"] and row["bytes_accessed"] / 1e9, 1),
                show(row["main_memory_bytes"] and row["main_memory_bytes"] / 1e9, 1),
                show(row["temporary_bytes"] / 1e9),
                show(row["peak_bytes"] / 1e9),
                describe_collectives([Collective(**one) for one in row["collectives"]]),
            ]
            for row in rows
        ],
    }


def _time_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = ("arithmetic", "memory", "estimated")
    return {
        "title": "Milliseconds per step on a TPU",
        "columns": ["program", "arithmetic", "memory", "compiler's estimate"],
        "rows": [[_name(row), *(show(1000 * row[f"{kind}_seconds"], 1) for kind in kinds)] for row in rows],
    }


def _gpu_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": f"GPUs, {rows[0]['images_per_chip']} images each: attention, and sufficient memory",
        "columns": [
            "program",
            "cuDNN attention",
            "float32 scores",
            *(f"{gigabytes} GB" for gigabytes in memory_fit.GPU_GIGABYTES),
        ],
        "rows": [
            [
                _name(row),
                f"{row['fused_attention']} calls",
                ", ".join(row["float32_scores"]) or "none",
                *("yes" if fit else "no" for fit in memory_fit.fits(row["peak_bytes"])),
            ]
            for row in rows
        ],
    }


def describe_collectives(collectives: Sequence[Collective]) -> str:
    """Format collectives, e.g. "3 all-reduce, 52.0 MB": executions per step of each kind, and total bytes."""
    times, total = Counter(), Counter()
    for one in collectives:
        times[one.kind] += one.executions
        total[one.kind] += one.num_bytes * one.executions
    return "; ".join(f"{count} {kind}, {total[kind] / 1e6:.1f} MB" for kind, count in times.items())


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Return notes on reading the tables."""
    lines = ["All loop iterations are included: each body analyzed separately, times the trip count."]
    if rows[0]["topology"] == THIS_CPU:
        lines.append("Compiled for this CPU, 8 images, float32.")
    if any(row["arithmetic_seconds"] is not None for row in rows):
        lines += [
            "bytes accessed: XLA's, which include on-chip memory; main memory: without it.",
            "arithmetic: FLOPs at 197 TFLOP/s; memory: at 819 GB/s (cloud.google.com/tpu/docs/v5e).",
            "compiler's estimate: the sum of XLA:TPU's estimated cycles at 1.5 GHz, without overlap.",
        ]
    if any(is_gpu(row["topology"]) for row in rows):
        share = 100 * memory_fit.TAKEN
        lines.append(f"enough memory: {share:.0f} % of the GPU's, which JAX reserves by default.")
    return lines


def _name(row: dict[str, Any]) -> str:
    return f"{row['program']}, {row['case']}, {row['topology']}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs="+", default=["cub"], choices=[*CASES])
    parser.add_argument("--topologies", nargs="+", default=["v5e:2x4"], metavar="NAME")
    parser.add_argument("--forward", action="store_true", help="also compile evaluation")
    parser.add_argument("--naive", action="store_true", help="also compile the line-by-line port")
    parser.add_argument("--images", type=int, default=128, help="images per chip")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

"""What the compiler says of the training step: FLOPs, memory traffic, memory, collectives; no noise.

python -m benchmarks.roofline [--cases cub imagenet base] [--topologies v5e:2x4 h100:8 a100:8] [--forward]
    [--naive] [--images 128] [--json FILE]

The step is compiled ahead of time, in bfloat16, for TPUs and GPUs that nobody needs to have, where their
compiler is installed (the lists of packages [tpu-compiler] and [gpu-compiler]); without any for this CPU,
where the FLOPs alone mean something. --forward adds evaluation, logits and maps; --naive sets a line-by-
line port beside ours (benchmarks/naive_lctr.py; minutes to compile). Beside the FLOPs stands the analytic
minimum of benchmarks/analytic.py. Memory traffic is XLA's "bytes accessed". XLA counts a loop's body once;
here every loop counts as often as it runs (benchmarks/loop_costs.py). Of programs for GPUs XLA estimates
neither; what is told of them is memory, which GPUs have it, collectives and the calls of cuDNN's attention.
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

CASES = {  # size and classes; the first two as lctr_jax's configs of these names train them
    "cub": ("deit_small", 200),
    "imagenet": ("deit_small", 1000),
    "base": ("deit_base", 1000),
}
THIS_CPU = "this CPU"
# Of one TPU v5e: cloud.google.com/tpu/docs/v5e, "System architecture".
FLOPS_PER_SECOND, BYTES_PER_SECOND = 197e12, 819e9
# What that comes to with its four arrays of 128 x 128 multiply-adds a cycle.
CYCLES_PER_SECOND = FLOPS_PER_SECOND / (4 * 128 * 128 * 2)


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    options = _parser().parse_args(arguments)
    topologies, left_out = available(options.topologies)
    on_paper = bool(topologies)
    programs = ["ours", *["forward"] * options.forward, *["naive"] * options.naive]
    rows = [
        measure(case, topology, program, images=options.images if on_paper else 8)
        for case, topology, program in itertools.product(options.cases, topologies or [THIS_CPU], programs)
        # A chip's share of the naive port is the same on any number of chips.
        if program != "naive" or topology == topologies[0]
    ]
    report: dict[str, Any] = {"machine": describe_machine("jaxlib", "libtpu"), "rows": rows}
    report |= {"tables": list(tables(rows)), "notes": [*left_out, *notes(rows)]}
    write_report(report, options.json)


def measure(case: str, topology: str, program: str, *, images: int) -> dict[str, Any]:
    """The program of one case, `images` a chip."""
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
        "temporary_bytes": costs.temporary_bytes,
        "peak_bytes": costs.peak_bytes,
        "collectives": [one._asdict() for one in costs.collectives],
        "arithmetic_seconds": costs.flops / FLOPS_PER_SECOND if on_tpu and costs.flops else None,
        "memory_seconds": costs.bytes_accessed / BYTES_PER_SECOND
        if on_tpu and costs.bytes_accessed
        else None,
        "estimated_seconds": costs.estimated_cycles / CYCLES_PER_SECOND if on_tpu else None,
        "fused_attention": costs.fused_attention,
        "float32_scores": list(costs.float32_scores),
        "compile_seconds": time.perf_counter() - start,
    }


def tables(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """FLOPs where they are known; memory of TPUs and GPUs; times of TPUs; attention and fit of GPUs."""
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
        "title": "FLOPs, an image",
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
        "title": f"A device, {rows[0]['images_per_chip']} images, GB",
        "columns": ["program", "bytes accessed", "an image", "temporary", "peak", "collectives"],
        "rows": [
            [
                _name(row),
                show(row["bytes_accessed"] and row["bytes_accessed"] / 1e9, 1),
                show(row["bytes_accessed"] and row["bytes_accessed"] / row["images_per_chip"] / 1e9, 3),
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
        "title": "Milliseconds a step on a TPU",
        "columns": ["program", "arithmetic", "memory", "compiler's estimate"],
        "rows": [[_name(row), *(show(1000 * row[f"{kind}_seconds"], 1) for kind in kinds)] for row in rows],
    }


def _gpu_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": f"GPUs, {rows[0]['images_per_chip']} images each: attention, and which memory is enough",
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
    """Such as "3 all-reduce, 52.0 MB": how often each kind runs in a step, and the bytes of all."""
    times, total = Counter(), Counter()
    for one in collectives:
        times[one.kind] += one.executions
        total[one.kind] += one.num_bytes * one.executions
    return "; ".join(f"{count} {kind}, {total[kind] / 1e6:.1f} MB" for kind, count in times.items())


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """How to read the tables."""
    lines = ["Loops count as often as they run: each body analyzed alone, times the loop's trip count."]
    if rows[0]["topology"] == THIS_CPU:
        lines.append("Compiled for this CPU, 8 images, float32.")
    if any(row["arithmetic_seconds"] is not None for row in rows):
        lines += [
            "arithmetic: FLOPs at 197 TFLOP/s; memory: bytes at 819 GB/s (cloud.google.com/tpu/docs/v5e).",
            "compiler's estimate: the sum of XLA:TPU's estimated cycles at 1.5 GHz, nothing overlapping.",
        ]
    if any(is_gpu(row["topology"]) for row in rows):
        share = 100 * memory_fit.TAKEN
        lines.append(
            f"enough memory: {share:.0f} % of the GPU's, which is what JAX takes unless told otherwise."
        )
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
    parser.add_argument("--forward", action="store_true", help="evaluation as well")
    parser.add_argument("--naive", action="store_true", help="the line-by-line port as well")
    parser.add_argument("--images", type=int, default=128, help="a chip")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()

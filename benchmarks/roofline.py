"""What the compiler says of the training step: FLOPs, memory traffic, memory, collectives; no noise.

python -m benchmarks.roofline [--cases cub imagenet base] [--topologies v5e:2x4 v5e:16x16] [--naive]
    [--images 128] [--json FILE]

With libtpu (pip install -e '.[tpu-compiler]') the step is compiled ahead of time, in bfloat16, for TPUs
that nobody needs to have; without it for this CPU, where the FLOPs alone mean something. --naive sets a
line-by-line port beside ours (benchmarks/naive_lctr.py; minutes to compile). Beside the FLOPs stands the
analytic minimum of benchmarks/analytic.py. Memory traffic is XLA's "bytes accessed". XLA counts a loop's body
once; here every loop counts as often as it runs (benchmarks/loop_costs.py).
"""

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from jax.sharding import Mesh

from benchmarks import tpu_topology
from benchmarks.analytic import training_flops
from benchmarks.compiled import analyze
from benchmarks.hlo import Collective
from benchmarks.measurement import describe_machine, show, write_report
from benchmarks.programs import lower_naive, lower_ours, published_spec
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument

CASES = {  # size and classes; the first two as lctr_jax's configs of these names train them
    "cub": ("deit_small", 200),
    "imagenet": ("deit_small", 1000),
    "base": ("deit_base", 1000),
}
# Of one TPU v5e: cloud.google.com/tpu/docs/v5e, "System architecture".
FLOPS_PER_SECOND, BYTES_PER_SECOND = 197e12, 819e9
# What that comes to with its four arrays of 128 x 128 multiply-adds a cycle.
CYCLES_PER_SECOND = FLOPS_PER_SECOND / (4 * 128 * 128 * 2)


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    options = _parser().parse_args(arguments)
    on_tpu = tpu_topology.has_tpu_compiler()
    topologies = options.topologies if on_tpu else ["this CPU"]
    programs = ["ours", "naive"] if options.naive else ["ours"]
    rows = [
        measure(case, topology, program, images=options.images if on_tpu else 8)
        for case, topology, program in itertools.product(options.cases, topologies, programs)
        # A chip's share of the naive port is the same on any number of chips.
        if program == "ours" or topology == topologies[0]
    ]
    report: dict[str, Any] = {"machine": describe_machine("jaxlib", "libtpu"), "rows": rows}
    report |= {"tables": list(tables(rows, on_tpu=on_tpu)), "notes": notes(on_tpu=on_tpu)}
    write_report(report, options.json)


def measure(case: str, topology: str, program: str, *, images: int) -> dict[str, Any]:
    """The step of one case, `images` a chip."""
    size, classes = CASES[case]
    on_tpu = topology != "this CPU"
    mesh: Mesh = tpu_topology.tpu_mesh(topology) if on_tpu else make_mesh()
    spec = published_spec(size, classes=classes, dtype="bfloat16" if on_tpu else "float32")
    lower = {"ours": lower_ours, "naive": lower_naive}[program]
    start = time.perf_counter()
    costs = analyze(lower(spec, mesh, images * mesh.size).compile())
    return {
        "case": case,
        "topology": topology,
        "program": program,
        "images_per_chip": images,
        "flops_per_image": costs.flops / images,
        "minimum_flops_per_image": training_flops(spec),
        "bytes_accessed": costs.bytes_accessed,
        "temporary_bytes": costs.temporary_bytes,
        "peak_bytes": costs.peak_bytes,
        "collectives": [one._asdict() for one in costs.collectives],
        "arithmetic_seconds": costs.flops / FLOPS_PER_SECOND,
        "memory_seconds": costs.bytes_accessed / BYTES_PER_SECOND,
        "estimated_seconds": costs.estimated_cycles / CYCLES_PER_SECOND,
        "compile_seconds": time.perf_counter() - start,
    }


def tables(rows: list[dict[str, Any]], *, on_tpu: bool) -> Iterator[dict[str, Any]]:
    """FLOPs everywhere; traffic, memory, times and collectives of TPUs alone."""
    yield {
        "title": "FLOPs of the training step, an image",
        "columns": ["step", "GFLOP", "analytic minimum", "over it"],
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
    if on_tpu:
        yield {
            "title": f"A chip, {rows[0]['images_per_chip']} images, GB",
            "columns": ["step", "bytes accessed", "an image", "temporary", "peak"],
            "rows": [
                [
                    _name(row),
                    show(row["bytes_accessed"] / 1e9, 1),
                    show(row["bytes_accessed"] / row["images_per_chip"] / 1e9, 3),
                    show(row["temporary_bytes"] / 1e9),
                    show(row["peak_bytes"] / 1e9),
                ]
                for row in rows
            ],
        }
        yield {
            "title": "Milliseconds a step, and collectives",
            "columns": ["step", "arithmetic", "memory", "compiler's estimate", "collectives"],
            "rows": [
                [
                    _name(row),
                    *(
                        show(1000 * row[f"{kind}_seconds"], 1)
                        for kind in ("arithmetic", "memory", "estimated")
                    ),
                    describe_collectives([Collective(**one) for one in row["collectives"]]),
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


def notes(*, on_tpu: bool) -> list[str]:
    """How to read the tables."""
    lines = ["Loops count as often as they run: each body analyzed alone, times the loop's trip count."]
    if not on_tpu:
        return [*lines, f"Compiled for this CPU, 8 images, float32. {tpu_topology.MISSING}"]
    return [
        *lines,
        "arithmetic: FLOPs at 197 TFLOP/s; memory: bytes at 819 GB/s (cloud.google.com/tpu/docs/v5e).",
        "compiler's estimate: the sum of XLA:TPU's estimated cycles at 1.5 GHz, nothing overlapping.",
    ]


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
    parser.add_argument("--naive", action="store_true", help="the line-by-line port as well")
    parser.add_argument("--images", type=int, default=128, help="a chip")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()

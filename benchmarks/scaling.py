"""Costs per device and communication of a training step on increasing numbers of devices.

python -m benchmarks.scaling [--configs cub ...] [--devices 1 2 4 8] [--topologies v5e:2x4 h100:8 ...]
    [--fsdp 1 2 8] [--json FILE]

The published steps are compiled, not run, with the published number of images per device (weak scaling): for
virtual CPU devices, and for TPUs and GPUs, which need not be present, if their compiler is installed. Finally
checks whether the work per device is constant, only gradients and metrics (with --fsdp: parameters and
gradients) are exchanged, the state is sharded, and the step fits the device; the exit status is 1 if not. The
step time on larger machines is predicted from a TPU's costs.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh
from rich.console import Console
from rich.table import Table

from benchmarks.compiled import Costs, analyze
from benchmarks.data_parallel import CASES, GIB, Row, fewest_devices, find_faults, gradient_bytes
from benchmarks.measurement import show
from benchmarks.prediction import MACHINES, predict
from benchmarks.programs import lower_ours
from benchmarks.topology import available, compile_for, mesh_on_paper
from lctr_jax.distributed.mesh import BATCH_AXES
from lctr_jax.host.paths import path_argument

MIB = 2**20
TABLE_WIDTH = 160
SOUND = "work is constant, only what belongs is exchanged, every step fits"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)  # files and pipes would otherwise count as 80 columns
    rows, faults = [], []
    topologies, left_out = available(options.topologies)
    for name in options.configs:
        for platform, mesh in _meshes(options.devices, topologies, options.fsdp):
            try:
                rows.append(_compile(name, platform, mesh))
                console.print(f"compiled {rows[-1].title}", highlight=False)
            except MemoryError as error:
                faults.append(str(error))
    for line in left_out:
        console.print(line, highlight=False)
    console.print(_table(rows))
    predictions = [prediction for row in _per_case(rows) for prediction in _predict(row)]
    if predictions:
        console.print(_prediction_table(predictions))
    faults += [fault for row in rows for fault in find_faults(row, alone=fewest_devices(row, rows))]
    for fault in faults or [SOUND]:
        console.print(fault, highlight=False)
    if options.json:
        report = {
            "jax": jax.__version__,
            "rows": [_describe(row) for row in rows],
            "predictions": predictions,
            "faults": faults,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if faults else 0


def _compile(name: str, platform: str, mesh: Mesh) -> Row:
    """Compile a step; raise MemoryError if the compiler finds that it does not fit."""
    lowered = lower_ours(CASES[name].spec, mesh, CASES[name].images * mesh.size)
    prefix = CASES[name].spec.prefix_tokens
    tokens = prefix + CASES[name].spec.grid[0] * CASES[name].spec.grid[1]
    try:
        costs = analyze(compile_for(mesh, lowered), tokens=tokens)
        return Row(name, platform, mesh.size, costs, mesh.shape["fsdp"])
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise MemoryError(f"{name} on {mesh.size} x {platform} does not fit: {reason}") from error


def _meshes(
    devices: Sequence[int], topologies: Sequence[str], fsdp: Sequence[int]
) -> Iterator[tuple[str, Mesh]]:
    for count in devices:
        grid = np.array(jax.devices("cpu")[:count]).reshape(count, 1)
        yield "cpu", Mesh(grid, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    for name, shards in itertools.product(topologies, fsdp):
        yield name, mesh_on_paper(name, fsdp=shards)


def _by_kind(costs: Costs) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for each in costs.collectives:
        total = totals.setdefault(each.kind, {"count": 0, "bytes": 0, "largest": 0})
        total["count"] += each.executions
        total["bytes"] += each.executions * each.num_bytes
        total["largest"] = max(total["largest"], each.num_bytes)
    return totals


def _describe(row: Row) -> dict[str, Any]:
    collectives = [each._asdict() for each in row.costs.collectives]
    return {
        "case": row.case,
        "platform": row.platform,
        "devices": row.devices,
        "fsdp": row.fsdp,
        **row.costs._asdict(),
        "collectives": collectives,
        "peak_bytes": row.costs.peak_bytes,
        "gradient_bytes": gradient_bytes(CASES[row.case].spec),
    }


def _per_case(rows: Sequence[Row]) -> list[Row]:
    """Return each case on the largest TPU topology, since no FLOPs are known for GPUs."""
    on_tpus = (row for row in rows if row.platform != "cpu" and row.fsdp == 1 and row.costs.flops)
    largest = sorted(on_tpus, key=lambda row: row.devices)
    return list({row.case: row for row in largest}.values())


def _predict(row: Row) -> list[dict[str, Any]]:
    flops, bytes_accessed = row.costs.flops, row.costs.bytes_accessed
    assert flops is not None  # known for TPUs
    assert bytes_accessed is not None
    costs = {"flops": flops, "bytes_accessed": bytes_accessed}
    found = []
    for machine in MACHINES:
        prediction = predict(machine, **costs, exchanged_bytes=row.exchanged_bytes)
        images = CASES[row.case].images * machine.devices
        found.append(
            {
                "case": row.case,
                "machine": f"{machine.devices} x {machine.name}",
                **{f"{name}_ms": 1000 * value for name, value in prediction._asdict().items()},
                "step_ms": 1000 * prediction.step,
                "efficiency_percent": 100 * prediction.efficiency,
                "images_per_second": images / prediction.step,
            }
        )
    return found


def _prediction_table(predictions: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="On paper, at peak bandwidths, nothing overlapped")
    for column in predictions[0]:
        text = column in ("case", "machine")
        table.add_column(column.replace("_", " "), justify="left" if text else "right")
    for prediction in predictions:
        table.add_row(*(value if isinstance(value, str) else f"{value:.4g}" for value in prediction.values()))
    return table


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="One step on each device")
    columns = (
        "step",
        "for",
        "devices",
        "fsdp",
        "images",
        "GFLOP",
        "GB moved",
        "GiB temporary",
        "GiB arguments",
        "GiB peak",
        "cuDNN attention",
    )
    for column in (*columns, "exchanged"):
        table.add_column(column, justify="left" if column in ("step", "for", "exchanged") else "right")
    for row in rows:
        costs = row.costs
        exchanged = ", ".join(
            f"{total['count']} {kind} {total['bytes'] / MIB:.1f} MiB"
            for kind, total in _by_kind(costs).items()
        )
        memory = (costs.temporary_bytes, costs.argument_bytes, costs.peak_bytes)
        table.add_row(
            row.case,
            row.platform,
            str(row.devices),
            str(row.fsdp),
            str(CASES[row.case].images),
            show(costs.flops and costs.flops / 1e9, 0),
            show(costs.bytes_accessed and costs.bytes_accessed / 1e9, 1),
            *(f"{each / GIB:.2f}" for each in memory),
            str(costs.fused_attention or ""),
            exchanged or "nothing",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--configs", nargs="*", choices=CASES, default=["cub", "imagenet", "deit_base"])
    parser.add_argument("--devices", nargs="*", type=int, default=[1, 2, 4, 8], help="virtual CPU devices")
    parser.add_argument("--topologies", nargs="*", default=["v5e:2x4", "v5e:16x16"], help="TPUs or GPUs")
    parser.add_argument("--fsdp", nargs="*", type=int, default=[1], help="for the topologies' devices")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 8)
    sys.exit(main())

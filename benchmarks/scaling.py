"""What a training step costs each device, and what the devices tell each other, on more and more of them.

python -m benchmarks.scaling [--configs cub ...] [--devices 1 2 4 8] [--topologies v5e:2x4 ...] [--json FILE]

The published steps are compiled, not run, with the published number of images on every device (weak
scaling): for virtual CPU devices, and for TPU topologies where libtpu is installed. Says in the end whether
every device's work stays the same, whether only gradients and metrics are exchanged, and whether the step
fits the chip; exit status 1 if not. From a TPU's costs follows, on paper, the step's time on larger machines.
"""

import argparse
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
from benchmarks.prediction import MACHINES, predict
from benchmarks.programs import lower_ours
from benchmarks.tpu_topology import MISSING, has_tpu_compiler, tpu_mesh
from lctr_jax.distributed.mesh import BATCH_AXES
from lctr_jax.host.paths import path_argument

MIB = 2**20
TABLE_WIDTH = 118


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)  # a file or a pipe counts as 80 columns
    rows, faults = [], []
    for name in options.configs:
        for platform, mesh in _meshes(options.devices, options.topologies):
            try:
                rows.append(_compile(name, platform, mesh))
                console.print(f"compiled {name} for {mesh.size} x {platform}", highlight=False)
            except MemoryError as error:
                faults.append(str(error))
    if options.topologies and not has_tpu_compiler():
        console.print(f"no TPU topologies: {MISSING}", highlight=False)
    console.print(_table(rows))
    predictions = [prediction for row in _per_case(rows) for prediction in _predict(row)]
    if predictions:
        console.print(_prediction_table(predictions))
    faults += [fault for row in rows for fault in find_faults(row, alone=fewest_devices(row, rows))]
    for fault in faults or ["work is constant, only gradients and metrics are exchanged, every step fits"]:
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
    """Compiles a step; raises MemoryError where the compiler finds no room for it."""
    lowered = lower_ours(CASES[name].spec, mesh, CASES[name].images * mesh.size)
    try:
        return Row(name, platform, mesh.size, analyze(lowered.compile()))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise MemoryError(f"{name} on {mesh.size} x {platform} does not fit: {reason}") from error


def _meshes(devices: Sequence[int], topologies: Sequence[str]) -> Iterator[tuple[str, Mesh]]:
    for count in devices:
        grid = np.array(jax.devices("cpu")[:count]).reshape(count, 1)
        yield "cpu", Mesh(grid, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    if has_tpu_compiler():
        for name in topologies:
            yield name, tpu_mesh(name)


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
        **row.costs._asdict(),
        "collectives": collectives,
        "peak_bytes": row.costs.peak_bytes,
        "gradient_bytes": gradient_bytes(CASES[row.case].spec),
    }


def _per_case(rows: Sequence[Row]) -> list[Row]:
    """Each case on the most TPUs that it was compiled for."""
    largest = sorted((row for row in rows if row.platform != "cpu"), key=lambda row: row.devices)
    return list({row.case: row for row in largest}.values())


def _predict(row: Row) -> list[dict[str, Any]]:
    costs = {"flops": row.costs.flops, "bytes_accessed": row.costs.bytes_accessed}
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
        "images",
        "GFLOP",
        "GB moved",
        "GiB temporary",
        "GiB arguments",
        "GiB peak",
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
            str(CASES[row.case].images),
            f"{costs.flops / 1e9:.0f}",
            f"{costs.bytes_accessed / 1e9:.1f}",
            *(f"{each / GIB:.2f}" for each in memory),
            exchanged or "nothing",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--configs", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--devices", nargs="*", type=int, default=[1, 2, 4, 8], help="virtual CPU devices")
    parser.add_argument("--topologies", nargs="*", default=["v5e:2x4", "v5e:16x16"], help="of TPUs")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 8)
    sys.exit(main())

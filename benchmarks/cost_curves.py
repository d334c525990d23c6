"""Costs over the number of classes, tokens, experts and records: flat where they should be flat.

python -m benchmarks.cost_curves [--picture docs/cost_curves.svg] [--json FILE]

FLOPs are those of all matrix products and convolutions in the traced training step of DeiT-S, forward and
backward before compilation, beside a line-by-line port's (`benchmarks/naive_lctr.py`). They are counted, not
timed. Records are read in a training run's order from shards of 1,250, which all are one small file: the time
of one read, in CPU microseconds, and the size of the index that every worker gets.
"""

import argparse
import functools
import pickle
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from array_record.python.array_record_module import ArrayRecordWriter

from benchmarks.cost_pictures import draw
from benchmarks.measurement import describe_machine, write_report
from benchmarks.naive_lctr import naive_train_step
from benchmarks.programs import OPTIMIZER, SCHEDULE, fresh_state, published_spec
from lctr_jax.data.sampling import global_order
from lctr_jax.data.shard_reader import ShardRecords, ShardSlice
from lctr_jax.host.paths import path_argument
from lctr_jax.models.execution import device_kind, resolve
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.flops import product_flops
from lctr_jax.training.steps import gradients

CLASSES = (10, 100, 200, 1000, 5000, 21841)
SIDES = (112, 224, 384, 512)
"""Sides of the image with 50, 197, 577 and 1,025 tokens."""
EXPERTS = (1, 2, 4, 8, 16)
RECORDS = (10_000, 100_000, 1_000_000, 10_000_000)

_BATCH = 8
_PER_SHARD = 1250
_READS, _ROUNDS = 2000, 5

Row = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    report: dict[str, Any] = {
        "machine": describe_machine("grain", "array-record"),
        "classes": [step_costs(classes=number) for number in CLASSES],
        "tokens": [step_costs(image_size=side) for side in SIDES],
        "experts": [step_costs(experts=number) for number in EXPERTS],
        "records": read_costs(RECORDS),
    }
    if options.picture:
        draw(report, options.picture)
    write_report(
        report | {"tables": list(map(table, AXES, (report[axis] for axis in AXES))), "notes": []},
        options.json,
    )


def step_costs(*, classes: int = 200, image_size: int = 224, experts: int = 4) -> Row:
    """Count GFLOP per image of our training step and of the naive port's, and millions of parameters."""
    published = published_spec(
        "deit_small", classes=classes, dtype="float32", image_size=image_size, experts=experts
    )
    # A trace does not show the products inside a fused kernel, and shows recomputed ones that XLA removes.
    resolved = resolve(published, device_kind(jax.devices()))
    spec = replace(resolved, attention="plain", rematerialize="nothing")
    state = jax.eval_shape(functools.partial(fresh_state, spec))
    image = jax.ShapeDtypeStruct((_BATCH, image_size, image_size, 3), jnp.uint8)
    label = jax.ShapeDtypeStruct((_BATCH,), jnp.int32)
    normalized = jax.ShapeDtypeStruct(image.shape, jnp.float32)
    targets = jax.ShapeDtypeStruct((_BATCH, classes), jnp.float32)
    ours = product_flops(functools.partial(gradients, spec), state.parameters, normalized, targets)
    naive = functools.partial(naive_train_step, spec=spec, optimizer=OPTIMIZER, schedule=SCHEDULE)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.parameters))
    return {
        "classes": classes,
        "tokens": _tokens(spec),
        "experts": experts,
        "gflop": ours / _BATCH / 1e9,
        "naive_gflop": product_flops(naive, state, image, label) / _BATCH / 1e9,
        "parameters": parameters / 1e6,
    }


def read_costs(numbers: Sequence[int]) -> list[Row]:
    """Measure a read in a training run's order, and the bytes of the index, for that many records."""
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder, "shard.array_record")
        writer = ArrayRecordWriter(str(shard), "group_size:1")
        for _ in range(_PER_SHARD):
            writer.write(bytes(1000))
        writer.close()
        sources = [ShardRecords([ShardSlice(str(shard), 0, _PER_SHARD)] * (n // _PER_SHARD)) for n in numbers]
        orders = [
            global_order(num_examples=n, steps=n // 512, batch_size=512, repeats=3, seed=0) for n in numbers
        ]
        times: list[list[float]] = [[] for _ in numbers]
        for index in range(_ROUNDS + 1):
            for source, order, seconds in zip(sources, orders, times, strict=True):
                start = time.process_time()
                for position in range(index * _READS, (index + 1) * _READS):
                    record = order[position]
                    assert record is not None
                    source[record]
                if index:
                    seconds.append((time.process_time() - start) / _READS)
        return [
            {
                "records": number,
                "microseconds": 1e6 * sorted(seconds)[len(seconds) // 2],
                "index_megabytes": len(pickle.dumps(source)) / 1e6,
            }
            for number, source, seconds in zip(numbers, sources, times, strict=True)
        ]


AXES = ("classes", "tokens", "experts", "records")


def table(axis: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Build the table of one axis."""
    if axis == "records":
        columns = {"microseconds": "CPU microseconds per read", "index_megabytes": "index, MB"}
    else:
        columns = {
            "gflop": "GFLOP per image, training",
            "naive_gflop": "naive port",
            "parameters": "parameters, M",
        }
    return {
        "title": f"Number of {axis}",
        "columns": [axis, *columns.values()],
        "rows": [[f"{row[axis]:,.0f}", *(f"{row[key]:,.2f}" for key in columns)] for row in rows],
    }


def _tokens(spec: ModelSpec) -> int:
    return spec.grid[0] * spec.grid[1] + spec.prefix_tokens


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_curves", description=__doc__)
    parser.add_argument("--picture", type=path_argument, metavar="FILE", help="also draw them as SVG")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

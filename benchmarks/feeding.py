"""How fast one process can feed devices: batches from worker processes through shared memory to the device.

python -m benchmarks.feeding [--workers 1] [--batch-size 512] [--rounds 8] [--json FILE]

The workers' images are ready in memory, so that only what remains is measured: stacking a batch in shared
memory, passing it on, and putting it on the device. The ceiling of a feeding process is what it
could feed if its workers never let it wait: the images over the CPU seconds of all its threads.
"""

import argparse
import contextlib
import functools
import time
from collections.abc import Sequence
from typing import Any

import grain
import jax
import numpy as np
import psutil

from benchmarks.measurement import describe_machine, show, summarize, write_report
from lctr_jax.data.device_feed import device_prefetch
from lctr_jax.data.pipeline import TrainIterator
from lctr_jax.host.paths import path_argument

COPIES = "by the worker into the batch, which is in shared memory, and from there to the device"
_SIDE = 224


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    report = measure(workers=options.workers, batch_size=options.batch_size, rounds=options.rounds)
    notes = [
        f"copies of a batch: {COPIES}",
        f"one feeding process: at most {report['ceiling']['median']:,.0f} images/s",
    ]
    write_report(report | {"tables": [table(report)], "notes": notes}, options.json)


def measure(*, workers: int, batch_size: int, rounds: int) -> dict[str, Any]:
    """Measure the rate, and the CPU seconds of the feeding process and of its workers."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, _SIDE, _SIDE, 3), np.uint8)
    samples = grain.MapDataset.range(1 << 30).map(functools.partial(_ready_sample, images))
    batches = TrainIterator(samples, host_batch=batch_size, num_workers=workers, steps_per_epoch=1)
    device = jax.devices()[0]
    rates: dict[str, list[float]] = {"wall": [], "feeding": [], "worker": []}
    with contextlib.closing(device_prefetch(batches, lambda batch: _put(batch, device))) as feed:
        for _ in range(4):  # starts the workers and fills the buffers
            next(feed)
        for _ in range(rounds):
            before = _clocks()
            for _ in range(4):
                jax.block_until_ready(next(feed))
            spent = dict(zip(rates, np.subtract(_clocks(), before), strict=True))
            for name, seconds in spent.items():
                rates[name].append(4 * batch_size / seconds)
    return {
        "machine": describe_machine("grain"),
        "device": device.device_kind,
        "workers": workers,
        "batch_size": batch_size,
        "bytes_per_image": _SIDE * _SIDE * 3,
        "images_per_second": summarize(rates["wall"]),
        "worker_ceiling": summarize(rates["worker"]),
        "ceiling": summarize(rates["feeding"]),
    }


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Build the table of rates."""
    rows = []
    names = {
        "images_per_second": f"passed on, {report['workers']} workers",
        "worker_ceiling": "per core of the workers",
        "ceiling": "per core of the feeding process",
    }
    for key, name in names.items():
        rate = report[key]
        gigabytes = {part: value * report["bytes_per_image"] / 1e9 for part, value in rate.items()}
        rows.append([name, show(rate, 0), show(gigabytes)])
    title = f"Batches of {report['batch_size']} x {_SIDE} x {_SIDE}, medians (quartiles)"
    return {"title": title, "columns": ["", "images/s", "GB/s"], "rows": rows}


def _ready_sample(images: np.ndarray, index: int) -> dict[str, Any]:
    image = images[index % len(images)]
    return {"image": image, "label": np.int32(index % 10), "id": "ready", "replaced": False}


def _put(batch: dict[str, Any], device: Any) -> jax.Array:
    return jax.block_until_ready(jax.device_put(np.asarray(batch["image"]), device, may_alias=False))


def _clocks() -> tuple[float, float, float]:
    """Return seconds on the wall, of this process's CPU time and of its children's."""
    workers = psutil.Process().children(recursive=True)
    return (
        time.perf_counter(),
        time.process_time(),
        sum(sum(worker.cpu_times()[:2]) for worker in workers),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeding", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="worker processes, 1 or more")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

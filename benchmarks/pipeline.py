"""Images per second of the training pipeline, compared with the same recipe in PyTorch if installed.

python -m benchmarks.pipeline [--workers 0 1 2] [--rounds 8] [--json FILE]

The published augmentation on 500 x 375 JPEGs in memory, as many as CUB's training split. Every round times
each pipeline once, after consuming prefetched batches, so that disturbances affect all equally. Ours returns
uint8, since normalization and random erasing run on the device in the training step; PyTorch's does them on
the host. Ours decodes an image once for its three views; "ours, 1 view" shows the rate without that. Without
workers, two threads of this process read, whose batches need no shared memory. A second table compares our
stages with PIL's own operations, whose pixels ours equal.
"""

import argparse
import dataclasses
import functools
import importlib.util
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks import pil_recipe
from benchmarks.measurement import describe_machine, show, summarize, summarize_ratio, write_report
from benchmarks.photographs import photograph_records
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.image_decoding import decode_pixels, decode_rgb
from lctr_jax.data.pipeline import train_batches
from lctr_jax.data.randaugment import draw_operations
from lctr_jax.data.train_transforms import draw_crop, resize_crop
from lctr_jax.host.paths import path_argument

IMAGE_SIZE = 224
TORCH_PACKAGES = ("torch", "torchvision", "timm")
_SETTLE_SECONDS = 2.0  # time for the other pipelines to refill their buffers and become idle
_BUFFERED_BATCHES = 8  # maximum per worker, in both pipelines

Records = list[dict[str, Any]]


@dataclasses.dataclass
class Contestant:
    """A pipeline, with its images per second of wall time and of CPU time of all processes in every round."""

    pipeline: str
    workers: int
    batches: Iterator[Any]
    per_second: list[float] = dataclasses.field(default_factory=list)
    per_core_second: list[float] = dataclasses.field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    records = photograph_records(384) * 16
    missing = [name for name in TORCH_PACKAGES if importlib.util.find_spec(name) is None]
    contestants = [
        contestant
        for workers in options.workers
        for contestant in open_pipelines(
            records, workers=workers, batch_size=options.batch_size, with_torch=not missing
        )
    ]
    run_interleaved(contestants, rounds=options.rounds, images=options.images, batch_size=options.batch_size)
    report = {
        "machine": describe_machine("grain", "pillow", *TORCH_PACKAGES),
        "rounds": options.rounds,
        "batch_size": options.batch_size,
        "pipelines": [compare(contestant, contestants) for contestant in contestants],
        "milliseconds_per_image": time_stages(records[: options.stage_images], rounds=options.rounds),
    }
    skipped = f"PyTorch's side is skipped: {', '.join(missing)} not installed"
    tables = [table(report), describe_stages(report["milliseconds_per_image"])]
    write_report(report | {"tables": tables, "notes": [skipped] if missing else []}, options.json)


def open_pipelines(
    records: Records, *, workers: int, batch_size: int, with_torch: bool
) -> Iterator[Contestant]:
    """Open ours, with and without repeated augmentation, and PyTorch's."""
    ours = functools.partial(
        train_batches, records, batch_size=batch_size, image_size=IMAGE_SIZE, seed=0, num_workers=workers
    )
    published = Augmentation()
    yield Contestant("ours", workers, ours(augmentation=published))
    yield Contestant("ours, 1 view", workers, ours(augmentation=dataclasses.replace(published, repeats=1)))
    if with_torch and workers:
        from benchmarks.torch_pipeline import torch_batches

        theirs = torch_batches(records, batch_size=batch_size, image_size=IMAGE_SIZE, num_workers=workers)
        yield Contestant("torch", workers, theirs)


def run_interleaved(contestants: list[Contestant], *, rounds: int, images: int, batch_size: int) -> None:
    """Time every pipeline in every round, after a warm-up round."""
    steps = max(1, images // batch_size)
    for index in range(rounds + 1):
        for contestant in contestants:
            time.sleep(_SETTLE_SECONDS)
            _take(contestant.batches, _BUFFERED_BATCHES * max(1, contestant.workers))
            cpu, start = _cpu_seconds(), time.perf_counter()
            _take(contestant.batches, steps)
            seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
            if index:
                contestant.per_second.append(steps * batch_size / seconds)
                contestant.per_core_second.append(steps * batch_size / cpu)


def compare(contestant: Contestant, contestants: list[Contestant]) -> dict[str, Any]:
    """Return medians, quartiles, and the medians of the rounds' ratios to PyTorch's with the same workers."""
    summary: dict[str, Any] = {"pipeline": contestant.pipeline, "workers": contestant.workers}
    for kind in ("per_second", "per_core_second"):
        rates = getattr(contestant, kind)
        summary[kind] = summarize(rates)
        for other in contestants:
            if (other.pipeline, other.workers) == ("torch", contestant.workers):
                summary[kind]["over_torch"] = summarize_ratio(rates, getattr(other, kind))["median"]
    return summary


def time_stages(records: Records, *, rounds: int) -> dict[str, dict[str, Any]]:
    """Measure CPU milliseconds per call of each stage, by ours and by PIL, with the same draws.

    All stages but decoding run once per view. Images alternate between the two, which compares them under
    the same load; `over_pil` is the median of the rounds' ratios of PIL's time to ours.
    """
    stages = ("decode", "crop and resize", "RandAugment")
    totals: dict[str, list[np.ndarray]] = {"ours": [], "PIL": []}
    for index in range(rounds + 1):
        clocks: dict[str, list[list[float]]] = {"ours": [], "PIL": []}
        for number, record in enumerate(records):
            for name, run in (("ours", _run_ours), ("PIL", _run_pil)):
                clocks[name].append(run(record, np.random.default_rng(number)))
        if index:  # the first round compiles
            for name, rows in clocks.items():
                totals[name].append(1000 * np.diff(rows, axis=1).mean(axis=0))
    ours, theirs = np.array(totals["ours"]).T, np.array(totals["PIL"]).T
    return {
        stage: {
            "ours": summarize(ours[i].tolist()),
            "PIL": summarize(theirs[i].tolist()),
            "over_pil": summarize_ratio(theirs[i].tolist(), ours[i].tolist())["median"],
        }
        for i, stage in enumerate(stages)
    }


def _run_ours(record: dict[str, Any], rng: np.random.Generator) -> list[float]:
    clock = [time.process_time()]
    pixels = decode_pixels(record["image"])
    clock.append(time.process_time())
    crop = draw_crop(*pixels.shape[1::-1], scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), rng=rng)
    view = resize_crop(pixels, crop, IMAGE_SIZE, resample=Image.Resampling.BICUBIC, fast_decode=False)
    clock.append(time.process_time())
    for operation, arguments in draw_operations(rng, layers=2, magnitude=9.0, magnitude_std=0.5):
        view = operation(view, arguments)
    return [*clock, time.process_time()]


def _run_pil(record: dict[str, Any], rng: np.random.Generator) -> list[float]:
    clock = [time.process_time()]
    image = decode_rgb(record["image"])
    clock.append(time.process_time())
    crop = draw_crop(*image.size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), rng=rng)
    view = pil_recipe.resize_crop(image, crop, IMAGE_SIZE, Image.Resampling.BICUBIC)
    clock.append(time.process_time())
    for operation, arguments in draw_operations(rng, layers=2, magnitude=9.0, magnitude_std=0.5):
        view = pil_recipe.apply(operation, view, arguments)
    np.asarray(view)
    return [*clock, time.process_time()]


def describe_stages(stages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Build the table of stages."""
    rows = [
        [stage, show(row["ours"]), show(row["PIL"]), show(row["over_pil"])] for stage, row in stages.items()
    ]
    for name in ("ours", "PIL"):
        totals = [row[name]["median"] for row in stages.values()]
        per_view = totals[0] / Augmentation().repeats + sum(totals[1:])
        rows.append([f"{name}, a view: images per core second", show(1000 / per_view, 0), "", ""])
    return {
        "title": "CPU milliseconds per image, the same pixels by ours and by PIL, medians (quartiles)",
        "columns": ["", "ours", "PIL", "PIL over ours"],
        "rows": rows,
    }


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Build the table of rates and ratios to PyTorch's."""
    rows = []
    for row in report["pipelines"]:
        cells = [row["pipeline"], str(row["workers"])]
        for rate in (row["per_second"], row["per_core_second"]):
            cells += [show(rate, 0), show(rate.get("over_torch"))]
        rows.append(cells)
    return {
        "title": f"Images, medians of {report['rounds']} rounds (quartiles)",
        "columns": ["", "workers", "per second", "over torch", "per core second", "over torch"],
        "rows": rows,
    }


def _take(batches: Iterator[Any], count: int) -> None:
    for _ in range(count):
        next(batches)


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and its workers so far."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="worker processes")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--images", type=int, default=512, help="images per timing")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--stage-images", type=int, default=48, help="images per round of the stages' table")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

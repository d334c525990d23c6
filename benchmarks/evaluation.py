"""Time of localization compared with the forward pass, and with naive threshold sweeps.

python -m benchmarks.evaluation [--rounds 10] [--batch-size 16] [--images 64] [--json FILE]

Every round times each of them once, so that disturbances affect all equally; the table shows medians over
rounds of milliseconds per image, and quartiles. Score maps are smooth random ones, 14 x 14.

Then photographs of 500 x 375 are evaluated as by a run, with every metric and the content-free baselines, and
compared with the forward pass alone (`benchmarks/evaluation_pass.py`).
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from benchmarks import evaluation_pass
from benchmarks.measurement import describe_machine, show, summarize, summarize_ratio, write_report
from benchmarks.naive_sweep import IMAGE_SIZE, naive_multi, naive_single
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.evaluation.forward import compile_forward
from lctr_jax.host.paths import path_argument
from lctr_jax.localization.boxes import best_iou
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.measurement import Sample, best_contour_iou, boxes_by_cut, measure
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import model_spec

NAIVE_IMAGES = 2
"""Images per round for the slow naive sweeps."""

PASSES = 8
"""Passes of our sweeps over the images per round: one would end before Linux has spread the threads."""

Task = tuple[Callable[[], Any], int]
"""A function to time, and its number of images."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    tasks = {"forward pass": forward_task(options.batch_size)} | sweep_tasks(options.batch_size)
    times = run_interleaved(tasks, rounds=options.rounds)
    whole = evaluation_pass.measure(options.images, batch_size=options.batch_size, rounds=options.rounds)
    report = {
        "machine": {
            **describe_machine("numba", "opencv-python-headless"),
            "device": jax.devices()[0].device_kind,
        },
        "rounds": options.rounds,
        "batch_size": options.batch_size,
        "milliseconds_per_image": {name: summarize(values) for name, values in times.items()},
        "ratios": _ratios(times),
        "whole": evaluation_pass.measure(
            options.images, batch_size=options.batch_size, rounds=options.rounds
        ),
    }
    notes = [f"{name}: {value:.0f}" for name, value in report["ratios"].items()]
    tables = [table(report), evaluation_pass.table(whole)]
    write_report(report | {"tables": tables, "notes": notes}, options.json)


def forward_task(batch_size: int) -> Task:
    """Prepare the forward pass of evaluation for the small network, with maps of two classes per image."""
    spec = model_spec("deit_small", num_classes=200, dtype="auto", precision="auto", attention="auto")
    parameters = initialize(spec, jax.random.key(0))
    forward = compile_forward(spec, make_mesh())
    images = np.random.default_rng(0).integers(0, 256, (batch_size, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    labels = np.arange(batch_size, dtype=np.int32)
    return lambda: jax.block_until_ready(forward(parameters, images, labels)), batch_size


def sweep_tasks(num_images: int) -> dict[str, Task]:
    """Prepare sweeps over score maps: largest contour (lctr), all contours (wsoleval), and naive ones."""
    samples = [_sample(seed) for seed in range(num_images)]
    few = samples[:NAIVE_IMAGES]
    settings = Settings(threshold=Threshold(0.09), num_classes=200, num_resamples=0)
    threads = ThreadPoolExecutor(os.cpu_count())

    def in_threads(function: Callable[[Sample], Any]) -> Task:
        return lambda: list(threads.map(function, samples * PASSES)), num_images * PASSES

    def in_turn(function: Callable[[Sample], Any]) -> Task:
        return lambda: list(map(function, samples * PASSES)), num_images * PASSES

    return {
        "largest contour": in_turn(sweep_single),
        "largest contour, threads": in_threads(sweep_single),
        "largest contour, naive": (
            lambda: [naive_single(sample.predicted_map, sample.boxes_xyxy) for sample in few],
            len(few),
        ),
        "all contours": in_turn(sweep_multi),
        "all contours, threads": in_threads(sweep_multi),
        "all contours, naive": (
            lambda: [naive_multi(sample.label_map, sample.boxes_xyxy) for sample in few],
            len(few),
        ),
        "every metric, threads": in_threads(lambda sample: measure(sample, settings)),
        "every metric of wsoleval, threads": in_threads(
            lambda sample: measure(sample, replace(settings, protocol=WSOLEVAL_PROTOCOL))
        ),
    }


def sweep_single(sample: Sample) -> np.ndarray:
    """Compute the IoU of the largest contour's box at all thresholds, from the score map."""
    boxes = boxes_by_cut(sample.predicted_map, protocol=LCTR_PROTOCOL, image_size=IMAGE_SIZE)
    return best_iou(boxes, sample.boxes_xyxy, closed=LCTR_PROTOCOL.closed)


def sweep_multi(sample: Sample) -> np.ndarray:
    """Compute the best IoU of any contour's box at all thresholds, from the score map."""
    frame = resize_map(sample.label_map, protocol=WSOLEVAL_PROTOCOL, image_size=IMAGE_SIZE)
    return best_contour_iou(quantize_map(frame), sample.boxes_xyxy, image_size=IMAGE_SIZE)


def run_interleaved(tasks: dict[str, Task], *, rounds: int) -> dict[str, list[float]]:
    """Return each task's milliseconds per image in every round, after a warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(rounds + 1):
        for name, (task, num_images) in tasks.items():
            start = time.perf_counter()
            task()
            if index:
                times[name].append(1000 * (time.perf_counter() - start) / num_images)
    return times


def _sample(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        id=str(seed),
        label=0,
        top5=np.arange(1, 6),  # the class is wrong, so that both maps are swept
        predicted_map=rng.random((14, 14), np.float32) ** 2,
        label_map=rng.random((14, 14), np.float32) ** 2,
        boxes_xyxy=np.array([[40.0, 50.0, 170.0, 180.0]]),
    )


def _ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the medians of the rounds' ratios."""

    def ratio(above: str, below: str) -> float:
        return summarize_ratio(times[above], times[below])["median"]

    sweeps = ("largest contour", "all contours")
    ratios = {}
    for sweep in sweeps:
        for name in (sweep, f"{sweep}, threads"):
            ratios[f"naive / {name}"] = ratio(f"{sweep}, naive", name)
    for name in (*sweeps, *(f"{sweep}, threads" for sweep in sweeps), "every metric, threads"):
        ratios[f"forward / {name}"] = ratio("forward pass", name)
    return ratios


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Build the table of all tasks' times."""
    return {
        "title": f"Milliseconds per image, medians of {report['rounds']} rounds (quartiles)",
        "columns": ["", "milliseconds"],
        "rows": [[name, show(row)] for name, row in report["milliseconds_per_image"].items()],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16, help="images of a forward pass")
    parser.add_argument("--images", type=int, default=64, help="photographs evaluated as by a run")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

"""Photographs per second of the prediction command and of its forward pass alone.

python -m benchmarks.predict [--images 1000] [--batch-size 16] [--json FILE]

Writes photographs of 500 x 375 pixels as JPEGs and runs `lctr_jax.predict` on them with DeiT-S at random
weights, including reading, boxes, overlays, lines and page. The forward pass is timed before and after, on
batches of the same size. Compilation is not included.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.goals import PREDICTION
from benchmarks.measurement import describe_machine, show, summarize, write_report
from benchmarks.photographs import photograph_records
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.host.paths import path_argument
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import model_spec
from lctr_jax.predict import main as predict

_FORWARD_ROUNDS = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(Path(scratch), images=options.images, batch_size=options.batch_size)
    note = f"prediction / forward pass: {report['ratio']:.2f}, target at least {PREDICTION:g}"
    write_report(report | {"tables": [table(report)], "notes": [note]}, options.json)


def measure(scratch: Path, *, images: int, batch_size: int) -> dict[str, Any]:
    """Measure both rates, in images per second, and their ratio."""
    spec = model_spec("deit_small", num_classes=200)
    checkpoint, photographs = scratch / "weights", scratch / "photographs"
    save_weights(checkpoint, Metadata(kind="network", spec=spec), initialize(spec, jax.random.key(0)))
    photographs.mkdir()
    for record in photograph_records(images):
        (photographs / f"{record['id']}.jpg").write_bytes(record["image"])
    model = load(checkpoint)
    command = ["--checkpoint", str(checkpoint), "--batch-size", str(batch_size)]
    with contextlib.redirect_stderr(io.StringIO()):
        predict([*command, "--out", str(scratch / "warm"), str(photographs / "0.jpg")])
        forward = forward_rates(model, batch_size=batch_size)
        start = time.perf_counter()
        predict([*command, "--out", str(scratch / "out"), str(photographs)])
        seconds = time.perf_counter() - start
        forward += forward_rates(model, batch_size=batch_size)
    rate = summarize(forward)
    return {
        "machine": describe_machine("opencv-python-headless", "pillow"),
        "device": jax.devices()[0].device_kind,
        "images": images,
        "batch_size": batch_size,
        "forward_per_second": rate,
        "predicted_per_second": images / seconds,
        "ratio": images / seconds / rate["median"],
    }


def forward_rates(model: LoadedModel, *, batch_size: int) -> list[float]:
    """Measure images per second of prediction's forward pass, one value per round."""
    side = model.spec.image_size
    images = np.random.default_rng(0).standard_normal((batch_size, side, side, 3), np.float32)
    asked = np.full((batch_size, 1), -1, np.int32)
    rates = []
    for index in range(_FORWARD_ROUNDS + 1):
        start = time.perf_counter()
        jax.block_until_ready(model(images, asked))
        if index:
            rates.append(batch_size / (time.perf_counter() - start))
    return rates


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Format both rates as a table."""
    return {
        "title": f"{report['images']:,} photographs of 500 x 375, batches of {report['batch_size']}",
        "columns": ["", "images per second"],
        "rows": [
            ["forward pass alone", show(report["forward_per_second"], 1)],
            ["lctr_jax.predict", show(report["predicted_per_second"], 1)],
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__)
    parser.add_argument("--images", type=int, default=1000, metavar="N")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="images of a forward pass")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()

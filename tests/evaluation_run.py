"""An evaluation of drawn images on a given mesh, in this process or in one of several.

python evaluation_run.py ADDRESS PROCESS FOLDER      one of two processes, see `run_processes`
"""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import AxisType, Mesh
from PIL import Image
from quick_compilation import child_flags

from lctr_jax.data.datasets import Split
from lctr_jax.distributed.mesh import BATCH_AXES, replicated
from lctr_jax.evaluation.evaluation_config import EvaluationOptions
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec

SIZE = 32
SPEC = ModelSpec(
    num_classes=7, width=32, depth=3, heads=2, image_size=SIZE, patch_size=8, initialization="fan_in"
)
FILES = ("metrics.json", "predictions.jsonl", "per_class.csv", "curves.csv")


def make_mesh(num_devices: int) -> Mesh:
    devices = np.array(jax.devices()[:num_devices]).reshape(num_devices, 1)
    return Mesh(devices, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def draw_split(name: str, count: int) -> Split:
    """Bright ellipses of many sizes on noise, with their boxes and masks; one in five has no box."""
    records = [draw_record(index, np.random.default_rng([index, len(name)])) for index in range(count)]
    return Split(name, list("abcdefg"), has_boxes=True, has_masks=True, source=Copies(records))


class Copies(list):
    """Returns records from memory, like a source on disk."""

    def __getitem__(self, index):  # pyright: ignore[reportIncompatibleMethodOverride]  no slices
        return dict(super().__getitem__(index))


def draw_record(index: int, rng: np.random.Generator) -> dict:
    width, height = rng.integers(24, 60, 2)
    x0, y0 = rng.integers(0, 10, 2)
    x1, y1 = rng.integers(14, width), rng.integers(14, height)
    y, x = np.mgrid[:height, :width] + 0.5
    inside = ((2 * x - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 < 1
    pixels = rng.integers(0, 90, (height, width, 3))
    pixels[inside] += 130
    return {
        "image": encode(pixels),
        "id": f"{index:02d}.png".encode(),
        "label": index % SPEC.num_classes,
        "boxes_xyxy": np.array([[x0, y0, x1, y1]][: index % 5], np.float32).reshape(-1, 4),
        "mask": encode(inside),
    }


def encode(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def evaluate(folder: Path, mesh: Mesh, **options) -> dict:
    """Run an evaluation with held-out threshold, masks, images without boxes and a reference network."""
    splits = {"test": draw_split("test", 21), "heldout": draw_split("heldout", 9)}
    evaluator = Evaluator(
        EvaluationOptions(**{"batch_size": 2, "threshold_split": "heldout", **options}),
        SPEC,
        mesh,
        open_split=splits.__getitem__,
    )
    trained, untrained = (
        jax.device_put(jax.device_get(initialize(SPEC, jax.random.key(seed))), replicated(mesh))
        for seed in (1, 0)
    )
    return evaluator.run(trained, folder, references={"untrained": untrained})


def run_processes(program: list[str], arguments: list[str], *, devices_each: int = 2) -> str:
    """Run `python PROGRAM ADDRESS PROCESS ARGUMENTS` twice at once, like two hosts; return both outputs."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": child_flags(devices_each),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *program, address, str(rank), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    return "\n".join(outputs)


if __name__ == "__main__":
    coordinator, rank, out = sys.argv[1:]
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, num_processes=2, process_id=int(rank))
    assert jax.process_count() == 2
    evaluate(Path(out), make_mesh(jax.device_count()))
    jax.distributed.shutdown()

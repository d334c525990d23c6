"""A pass of evaluation over photographs, from JPEG to sums, compared with its forward pass alone."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.measurement import show, summarize, summarize_ratio
from benchmarks.photographs import SIZE, photograph_records
from lctr_jax.data.geometry import Geometry
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.evaluation.forward import Forward, ForwardOutput, compile_forward
from lctr_jax.evaluation.stream import evaluate_split
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import model_spec

_CLASSES, _SIDE = 200, 224


def measure(images: int, *, batch_size: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Measure for each protocol the rate relative to the forward pass, and the host's work per image.

    The work is the CPU time, in milliseconds per image, of the same pass with a network that takes no time.
    """
    spec = model_spec("deit_small", num_classes=_CLASSES, dtype="auto", precision="auto", attention="auto")
    parameters = initialize(spec, jax.random.key(0))
    forward = compile_forward(spec, make_mesh())
    records = [_with_box(record) for record in photograph_records(images)]
    frames = np.zeros((batch_size, _SIDE, _SIDE, 3), np.uint8)
    labels = np.zeros(batch_size, np.int32)
    answer = jax.block_until_ready(forward(parameters, frames, labels))
    whole_batches = -(-images // batch_size)

    def pass_forward() -> None:
        for _ in range(whole_batches):
            jax.block_until_ready(forward(parameters, frames, labels))

    tasks: dict[str, Callable[[], Any]] = {"forward": pass_forward}
    for protocol in (LCTR_PROTOCOL, WSOLEVAL_PROTOCOL):
        for name, network in (("", forward), (" without network", lambda *_: answer)):
            tasks[protocol.name + name] = _evaluation(network, parameters, records, protocol, batch_size)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(rounds + 1):
        for name, task in tasks.items():
            clock = time.process_time if "without" in name else time.perf_counter
            start = clock()
            task()
            if index:
                seconds[name].append(clock() - start)
    return {
        name: {
            "share": summarize_ratio(seconds["forward"], seconds[name]),
            "host_ms": summarize([1000 * each / images for each in seconds[f"{name} without network"]]),
        }
        for name in (LCTR_PROTOCOL.name, WSOLEVAL_PROTOCOL.name)
    }


def table(whole: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Build the table of both protocols."""
    return {
        "title": "Evaluation of photographs as by a run, medians (quartiles)",
        "columns": ["protocol", "rate / forward pass alone", "host, CPU ms per image"],
        "rows": [[name, show(row["share"]), show(row["host_ms"])] for name, row in whole.items()],
    }


def _evaluation(
    forward: Forward | Callable[..., ForwardOutput],
    parameters: Any,
    records: Any,
    protocol: Any,
    batch_size: int,
) -> Callable[[], Any]:
    settings = Settings(
        threshold=Threshold(0.09),
        num_classes=_CLASSES,
        protocol=protocol,
        image_size=_SIDE,
        num_resamples=1000,
    )
    geometry = Geometry(protocol.name, _SIDE)
    return lambda: evaluate_split(
        forward, parameters, records, settings=settings, geometry=geometry, batch_size=batch_size
    )


def _with_box(record: dict[str, Any]) -> dict[str, Any]:
    width, height = SIZE
    box = np.array([[0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height]], np.float32)
    return record | {"boxes_xyxy": box}

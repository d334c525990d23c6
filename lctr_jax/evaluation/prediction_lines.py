"""Predictions on disk, one line per image."""

import contextlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.stream import Result


def prediction(result: Result, geometry: Geometry) -> dict[str, Any]:
    """Return a line of `predictions.jsonl`: `box` in pixels of the frame, `box_original` of the image."""
    sample, measurement = result.sample, result.measurement
    box = measurement.box_xyxy
    original = geometry.boxes_to_original(box[None], width=result.width, height=result.height)[0]
    return {
        "id": sample.id,
        "label": sample.label,
        "top5": sample.top5.tolist(),
        "probability": [round(float(value), 6) for value in result.probability],
        "box": box.tolist(),
        "box_original": np.round(original, 2).tolist(),
        "iou": None if result.iou is None else round(result.iou, 6),
        "error": result.error,
        "flat_map": measurement.flat_map,
        "covers_frame": measurement.covers_frame,
    }


class PredictionFile:
    """Writes `predictions.jsonl` as results arrive; every host writes a part, and `join` combines them.

    All hosts must share the folder, as for checkpoints.
    """

    def __init__(self, path: Path, geometry: Geometry):
        self._path, self._geometry = path, geometry
        self._file = self._part(jax.process_index()).open("w")

    def write(self, result: Result) -> None:
        """Append a line."""
        self._file.write(json.dumps(prediction(result, self._geometry)) + "\n")

    def __enter__(self) -> "PredictionFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def join(self, *, batch_size: int) -> None:
        """Combine the hosts' parts in the split's order; each host had an equal part of each global batch."""
        self._file.close()
        hosts = jax.process_count()
        multihost_utils.sync_global_devices("predictions written")
        if jax.process_index() == 0:
            parts = [self._part(host) for host in range(hosts)]
            with contextlib.ExitStack() as stack, self._path.open("w") as joined:
                readers = [stack.enter_context(part.open()) for part in parts]
                while chunk := [line for file in readers for line in islice(file, batch_size // hosts)]:
                    joined.writelines(chunk)
            for part in parts:
                part.unlink()

    def _part(self, host: int) -> Path:
        return self._path.with_suffix(f".{host}.jsonl")

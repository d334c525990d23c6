"""Results on disk: a line an image."""

import json
from typing import Any, TextIO

import numpy as np

from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.evaluator import Result


def prediction(result: Result, geometry: Geometry) -> dict[str, Any]:
    """The line of `predictions.jsonl`: boxes xyxy in the frame, and `box_original` in the original's pixels."""
    measurement, record = result.measurement, result.record
    box = measurement.box_xyxy
    original = geometry.boxes_to_original(box[None], width=record["width"], height=record["height"])[0]
    line = {
        "id": measurement.id,
        "label": measurement.label,
        "top5": measurement.top5.tolist(),
        "probability": [round(float(value), 6) for value in result.probability],
        "box": box.tolist(),
        "box_original": np.round(original, 2).tolist(),
        "iou": None,
        "error": None,
    }
    if measurement.scores is not None:
        line |= {"iou": round(measurement.scores.iou, 6), "error": measurement.scores.error}
    return line


def write_line(file: TextIO, line: dict[str, Any]) -> None:
    """One JSON object, one line."""
    file.write(json.dumps(line) + "\n")

"""Files of finished runs, as read by commands: metrics, metadata, checksums."""

import json
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.damage import changed_json, json_files, json_values
from benchmarks.fuzz.tensors import METADATA
from lctr_jax.checkpoints.checksums import CHECKSUMS, find_damage
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.stored_calibration import FILE, checksum
from lctr_jax.inference.threshold import read_threshold, resolve_threshold
from lctr_jax.json_objects import parse_object
from lctr_jax.run.seed_summary import read_metrics, summarize_runs
from lctr_jax.summarize import make_table

CALIBRATION = {
    "threshold": 0.31,
    "interval_95": [0.22, 0.4],
    "box_accuracy": 80.0,
    "box_accuracy_interval_95": [60.0, 95.0],
    "source": "boxes.csv",
    "num_images": 18,
    "num_boxes": 20,
    "geometry": "wsoleval",
}
METRICS = {
    "protocol": "lctr",
    "split": "test",
    "num_images": 3,
    "map_class": "predicted",
    "first_box_only": False,
    "threshold": 0.2,
    "threshold_source": "held-out (val)",
    "top1_cls": 60.0,
    "gt_known_loc": 50.0,
    "max_box_acc_v2": None,
    "baselines": {"full_image": {"gt_known_loc": 10.0}},
}


def _summarize(folder: Path, content: bytes) -> None:
    path = folder / "metrics.json"
    path.write_bytes(content)
    make_table(summarize_runs({"sound": METRICS, str(path): read_metrics(path)}))
    make_table(summarize_runs({str(path): read_metrics(path)}))


def _threshold(folder: Path, content: bytes) -> None:
    path = folder / "metrics.json"
    path.write_bytes(content)
    read_threshold(path)


def _calibration(folder: Path, content: bytes) -> None:
    """Read a calibration; with a correct checksum, since its values are not read otherwise."""
    path = folder / FILE
    try:
        values = parse_object(content, where="calibration")
        path.write_text(json.dumps(values | {"crc32": checksum(values)}))
    except ValueError:
        path.write_bytes(content)
    choice = resolve_threshold(None, folder)
    assert choice.tau is not None
    choice.describe()


def _checksums(folder: Path, content: bytes) -> None:
    (folder / CHECKSUMS).write_bytes(content)
    assert find_damage(folder)


def _metadata(folder: Path, stored: Any) -> None:
    Metadata.from_json(stored)


CASES = (
    Case("results", "metrics.json to summarize", json_files(METRICS), _summarize),
    Case("results", "metrics.json to predict", json_files(METRICS), _threshold),
    Case("results", "calibration", json_files(CALIBRATION), _calibration),
    Case("results", "checkpoint metadata", changed_json(METADATA) | json_values(list(METADATA)), _metadata),
    Case("results", "checksums", json_files({"params/a": [3, 17], "params/b": [0, 0]}), _checksums),
)

"""`eval/config.json`: the options, weights and data of an evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from lctr_jax.checkpoints.store import CHECKPOINTS
from lctr_jax.json_objects import read_object
from lctr_jax.run.config import RunConfig
from lctr_jax.run.saved_config import FREE, as_json

CONFIG_FILE = "config.json"

_NOT_COMPARED = (
    "seed",
    *(name for name in FREE if name != "eval"),
    "eval.batch_size",
    "eval.sheet_images",
    "eval.untrained_baseline",
    "eval.match_classes",
)

Evaluated = Mapping[str, Any]
"""`training`: options with which the weights were trained, None if unknown; `checkpoint`: source of the
weights, None if they were trained by the same command; `evaluation`: options of the evaluation.
"""


def record_evaluated(folder: Path, config: RunConfig, *, checkpoint: str | None) -> None:
    """Write the file next to `metrics.json`; `checkpoint` is None for weights trained by this command."""
    options = as_json(config)
    evaluated = {
        "training": options if checkpoint is None else _training_options(Path(checkpoint)),
        "checkpoint": checkpoint,
        "evaluation": options,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(evaluated, indent=2) + "\n")


def read_evaluated(metrics: Path) -> Evaluated | None:
    """Read the file next to a `metrics.json`; None if there is none.

    Raises:
        ValueError: it was not written by `record_evaluated`.
    """
    path = metrics.with_name(CONFIG_FILE)
    if not path.is_file():
        return None
    evaluated = read_object(path)
    training, evaluation = evaluated.get("training"), evaluated.get("evaluation")
    if isinstance(training, dict | None) and isinstance(evaluation, dict) and "checkpoint" in evaluated:
        return evaluated
    raise ValueError(f"{path}: expected training, checkpoint and evaluation, the options of an evaluation")


def differences(first: Evaluated, second: Evaluated) -> list[str]:
    """Describe every option except the seed in which two evaluations differ, as `option is .. and ..`."""
    found: dict[str, str] = {}
    for options in (_training, _evaluation):
        ours, theirs = options(first), options(second)
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name) and not name.startswith(_NOT_COMPARED):
                found.setdefault(name, f"{name} is {ours.get(name)!r} and {theirs.get(name)!r}")
    return list(found.values())


def is_same_training(first: Evaluated, second: Evaluated) -> bool:
    """Return whether two evaluations have the same seed or, if unknown, the same checkpoint."""
    if first["training"] and second["training"]:
        return first["training"].get("seed") == second["training"].get("seed")
    return first["checkpoint"] == second["checkpoint"]


def _training(evaluated: Evaluated) -> dict[str, Any]:
    options = evaluated["training"] or {}
    return _flatten({group: value for group, value in options.items() if group != "eval"})


def _evaluation(evaluated: Evaluated) -> dict[str, Any]:
    return _flatten({group: evaluated["evaluation"].get(group) for group in ("model", "data", "eval")})


def _flatten(options: Mapping[str, Any]) -> dict[str, Any]:
    return flatten_dict(options, sep=".", keep_empty_nodes=True)


def _training_options(checkpoint: Path) -> dict[str, Any] | None:
    """Return the options of the run that a checkpoint belongs to: RUN, RUN/checkpoints[/best][/STEP]."""
    checkpoint = checkpoint.expanduser().resolve()
    for folder in (checkpoint, *checkpoint.parents[:3]):
        if (folder / CONFIG_FILE).is_file() and (folder / CHECKPOINTS).is_dir():
            return read_object(folder / CONFIG_FILE)
    return None

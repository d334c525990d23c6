"""A run's folder belongs to one config: it is written there, and a run that disagrees with it is refused."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from lctr_jax.json_objects import read_object
from lctr_jax.run.config import RunConfig

# What may change while a run goes on: none of it changes the parameters that training ends with.
FREE = (
    "eval",
    "log",
    "data.data_dir",
    "data.num_workers",
    "train.log_every_steps",
    "train.checkpoint_every_epochs",
    "train.keep_checkpoints",
    "train.eval_every_epochs",
    "train.profile",
    "model.attention",
    "model.rematerialize",
    "train.fsdp",
    "train.micro_batches",
)

# Where things lie: what lies there is compared instead (`run/inputs.py`); boxes serve evaluation alone.
_PLACES = ("init_from", "data.root", "data.boxes")


def as_json(config: RunConfig) -> dict[str, Any]:
    """The options as JSON has them, in files and in checkpoints: tuples are lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def require_same(workdir: Path, options: Mapping[str, Any], started: Mapping[str, Any]) -> None:
    """Compare the options, as JSON has them, with those that the folder's run was started with.

    Raises:
        ValueError: some differ that matter.
    """
    if different := _differences(started, options):
        raise ValueError(
            f"{workdir}: holds a run of another config: {'; '.join(different)}; "
            "choose another --workdir, or give the options it was started with"
        )


def record_config(workdir: Path, config: RunConfig) -> None:
    """Write `config.json`."""
    (workdir / "config.json").write_text(json.dumps(as_json(config), indent=2) + "\n")


def is_recorded(workdir: Path, config: RunConfig) -> bool:
    """Whether `config.json` is of this very config, in what may change, too.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a JSON object.
    """
    path = workdir / "config.json"
    return path.is_file() and read_object(path) == as_json(config)


def _differences(started: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    ours, theirs = (flatten_dict(options, sep=".", keep_empty_nodes=True) for options in (asked, started))
    return [
        f"{name} was {theirs.get(name)!r}, is {ours.get(name)!r}"
        for name in sorted(ours | theirs)
        if ours.get(name) != theirs.get(name) and not name.startswith((*FREE, *_PLACES))
    ]

"""A workdir belongs to one config, which is stored in it; runs with another config are refused."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from lctr_jax.json_objects import read_object
from lctr_jax.run.config import RunConfig

# Options that may change when a run is resumed, because they do not affect the trained parameters.
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
    "model.layer_loop",
    "train.fsdp",
    "train.micro_batches",
)

# Locations, whose content is compared instead (`run/inputs.py`); boxes are only used in evaluation.
_PLACES = ("init_from", "data.root", "data.boxes")


def as_json(config: RunConfig) -> dict[str, Any]:
    """Convert the options to JSON types, in which tuples are lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def require_same(workdir: Path, options: Mapping[str, Any], started: Mapping[str, Any]) -> None:
    """Compare the options (in JSON types) with those that the folder's run was started with.

    Raises:
        ValueError: options differ that affect the trained parameters.
    """
    if different := _differences(started, options):
        raise ValueError(
            f"{workdir}: contains a run of another config: {'; '.join(different)}; "
            "choose another --workdir, or use the options it was started with"
        )


def record_config(workdir: Path, config: RunConfig) -> None:
    """Write `config.json`."""
    (workdir / "config.json").write_text(json.dumps(as_json(config), indent=2) + "\n")


def is_recorded(workdir: Path, config: RunConfig) -> bool:
    """Return whether `config.json` contains exactly this config, including options that may change.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a JSON object.
    """
    path = workdir / "config.json"
    return path.is_file() and read_object(path) == as_json(config)


def training_options(config: RunConfig, *, apart_from: tuple[str, ...] = ()) -> str:
    """Return the options that affect the trained parameters, as JSON that is equal for equal options."""
    options = flatten_dict(as_json(config), sep=".", keep_empty_nodes=True)
    left_out = (*FREE, *apart_from)
    return json.dumps({name: value for name, value in options.items() if not name.startswith(left_out)})


def _differences(started: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    ours, theirs = (flatten_dict(options, sep=".", keep_empty_nodes=True) for options in (asked, started))
    return [
        f"{name} was {theirs.get(name)!r}, is {ours.get(name)!r}"
        for name in sorted(ours | theirs)
        if ours.get(name) != theirs.get(name) and not name.startswith((*FREE, *_PLACES))
    ]

"""A run's folder belongs to one config: it is written there, and a run that disagrees with it is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from lctr_jax.config import RunConfig

# What may change while a run goes on: none of it changes the parameters that training ends with.
_FREE = (
    "eval",
    "log",
    "data.data_dir",
    "data.num_workers",
    "train.log_every_steps",
    "train.checkpoint_every_epochs",
    "train.keep_checkpoints",
    "train.eval_every_epochs",
    "train.profile",
    "train.fsdp",
    "train.micro_batches",
)


def record_config(workdir: Path, config: RunConfig, *, resuming: bool) -> None:
    """Write `config.json`, or, when resuming, compare the config with it first.

    Raises:
        ValueError: the folder's run was started with other options that matter.
    """
    path = workdir / "config.json"
    options = _options(config)
    different = _differences(json.loads(path.read_text()), options) if resuming and path.exists() else []
    if different:
        raise ValueError(
            f"{workdir}: holds a run of another config: {'; '.join(different)}; "
            "choose another --workdir, or give the options it was started with"
        )
    path.write_text(json.dumps(options, indent=2) + "\n")


def is_recorded(workdir: Path, config: RunConfig) -> bool:
    """Whether `config.json` is of this very config, in what may change, too."""
    path = workdir / "config.json"
    return path.is_file() and json.loads(path.read_text()) == _options(config)


def _options(config: RunConfig) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))  # as JSON has them: tuples are lists


def _differences(started: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    ours, theirs = (flatten_dict(options, sep=".", keep_empty_nodes=True) for options in (asked, started))
    return [
        f"{name} was {theirs.get(name)!r}, is {ours.get(name)!r}"
        for name in sorted(ours | theirs)
        if ours.get(name) != theirs.get(name) and not name.startswith(_FREE)
    ]

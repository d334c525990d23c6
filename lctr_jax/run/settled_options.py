"""Set the options that a config leaves open: as its run was started, or by images, machine and weights."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh
from ml_collections import ConfigDict, FieldReference

from lctr_jax.checkpoints.metadata import BACKBONE_FIELDS
from lctr_jax.checkpoints.recognition import size_options
from lctr_jax.checkpoints.store import CHECKPOINTS, list_steps, load_metadata
from lctr_jax.checkpoints.transfer import read_initial_metadata
from lctr_jax.data.feeding import AUTO
from lctr_jax.host.resources import available_memory
from lctr_jax.json_objects import read_object
from lctr_jax.run.auto_options import AUTO_OPTIONS, Facts, choose_options, describe_choices
from lctr_jax.run.config import RunConfig, default_config, parse_config
from lctr_jax.run.experiment import find_initial_weights, open_data

_IN_WORDS = {str: "a name", int: "a whole number", float: "a number"}
_MEMORY = 8 << 30  # bytes, where the system does not say


def leave_open(config: ConfigDict) -> None:
    """Leave every option of `AUTO_OPTIONS` to the run, unless the command line sets it."""
    for option in AUTO_OPTIONS:
        group, name = option.split(".")
        options: Any = config[group]
        with config.unlocked():
            del options[name]
            options[name] = FieldReference(AUTO, object)  # a number or a name, too


def check_config(config: ConfigDict) -> RunConfig:
    """Check a config before anything is read, with the published values in place of what is open.

    Raises:
        ValueError: an option is impossible.
    """
    published = flatten_dict(default_config().to_dict(), sep=".")
    return parse_config(_fill(config, {option: published[option] for option in _auto_options(config)}))


def settle_options(
    config: ConfigDict,
    mesh: Mesh,
    *,
    workdir: Path | None,
    checkpoint: str | None = None,
) -> RunConfig:
    """Set the open options; process 0 prints each choice with its reason.

    A run that continues in `workdir` keeps its options, and an evaluation uses the network of its
    `checkpoint`.

    Raises:
        ValueError: an option is impossible, or the data or the weights cannot be read.
        FileNotFoundError: the data or the weights are missing.
    """
    checked = check_config(config)
    if not _auto_options(config):
        return checked
    if checkpoint is not None:
        settled = check_config(_fill(config, _of_checkpoint(config, checkpoint)))
    elif started := _started(workdir):
        _say(f"options that the config leaves open: as {workdir} was started")
        settled = check_config(_fill(config, _recorded(config, started)))
    else:
        facts = _find_facts(config, checked, mesh)
        choices = choose_options(facts, _given(config))
        for line in describe_choices(choices):
            _say(line)
        settled = parse_config(_fill(config, {choice.option: choice.value for choice in choices}))
    return settled


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, file=sys.stderr, flush=True)


def _auto_options(config: ConfigDict) -> list[str]:
    values = flatten_dict(config.to_dict(), sep=".")
    return [option for option in AUTO_OPTIONS if values[option] == AUTO]


def _given(config: ConfigDict) -> dict[str, Any]:
    """Return the options that are set, by dotted name."""
    values = flatten_dict(config.to_dict(), sep=".")
    unset = _auto_options(config)
    return {option: value for option, value in values.items() if value is not None and option not in unset}


def _fill(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    filled = config.to_dict()
    for option, value in values.items():
        group, name = option.split(".")
        filled[group][name] = value
    for option, kind in AUTO_OPTIONS.items():
        group, name = option.split(".")
        filled[group][name] = _as_kind(option, filled[group][name], kind)
    return ConfigDict(filled)


def _as_kind(option: str, value: Any, kind: type) -> Any:
    """Return an open option's value as the option's type, which the command line does not know."""
    if kind is float and isinstance(value, int):
        return float(value)
    if value not in (None, AUTO) and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError(f"{option}: got {value!r}, expected {_IN_WORDS[kind]}, or {AUTO!r}")
    return value


def _started(workdir: Path | None) -> dict[str, Any] | None:
    """Return the options of the run that continues in the folder, by dotted name."""
    if workdir is None or not list_steps(workdir / CHECKPOINTS) or not (workdir / "config.json").is_file():
        return None
    return flatten_dict(read_object(workdir / "config.json"), sep=".")


def _recorded(config: ConfigDict, started: Mapping[str, Any]) -> dict[str, Any]:
    names = _auto_options(config)
    if "model.name" in names:  # the network's other fields may have been chosen with it
        names += [f"model.{name}" for name, value in config.model.items() if value is None]
    return {name: started[name] for name in names if name in started}


def _of_checkpoint(config: ConfigDict, checkpoint: str) -> dict[str, Any]:
    spec = load_metadata(checkpoint).spec
    names = [name for name in (*BACKBONE_FIELDS, "experts") if config.model[name] in (None, AUTO)]
    named = {"model.name": size_options(spec)["name"]} if config.model.name == AUTO else {}
    return named | {f"model.{name}": getattr(spec, name) for name in names}


def _find_facts(config: ConfigDict, checked: RunConfig, mesh: Mesh) -> Facts:
    weights = None
    if checked.init_from:
        weights = read_initial_metadata(find_initial_weights(checked.init_from, checked.data.data_dir)).spec
    device = mesh.local_devices[0]
    on_cpu = device.platform == "cpu"
    counted = {"train.batch_size", "train.epochs"} & set(_auto_options(config))
    memory = available_memory() if on_cpu else (device.memory_stats() or {}).get("bytes_limit")
    sharing = sum(each.platform == "cpu" for each in mesh.local_devices) or 1  # CPU devices share the memory
    return Facts(
        images=len(open_data(checked.data, checked.data.train_split)) if counted else 1,
        devices=mesh.devices.size,
        on_cpu=on_cpu,
        memory=(memory or _MEMORY) // sharing,
        weights=weights,
    )

"""Weights on disk, through orbax, in one layout for the converter's and training's checkpoints.

A checkpoint is a folder of orbax items: `params`, `metadata` and, where training wrote it, `training` (the
optimizer's state, the step, the data's position). Whoever wants weights reads the first two alone.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from lctr_jax.checkpoints.checksums import find_damage, write_checksums
from lctr_jax.checkpoints.metadata import SHAPING_FIELDS, Metadata, differing_fields
from lctr_jax.checkpoints.parameter_paths import misfits
from lctr_jax.models.parameters import Parameters, parameter_shapes
from lctr_jax.models.spec import ModelSpec

PARAMETERS, METADATA = "params", "metadata"
TRAINING = "training"
CHECKPOINTS = "checkpoints"  # the folder of a training run that holds one checkpoint a step

AnyPath = str | os.PathLike[str]

_log = logging.getLogger(__name__)


def weights_items(metadata: Metadata, parameters: Parameters) -> dict[str, ocp.args.CheckpointArgs]:
    """The items that make a checkpoint readable as weights, for `ocp.args.Composite`."""
    return {
        PARAMETERS: ocp.args.StandardSave(parameters),
        METADATA: ocp.args.JsonSave(metadata.to_json()),
    }


def save_weights(
    path: AnyPath, metadata: Metadata, parameters: Parameters, *, overwrite: bool = False
) -> None:
    """Write a weights checkpoint to the folder `path`, all of it or none.

    Raises:
        FileExistsError: something is there; with `overwrite`, something else than a weights checkpoint.
    """
    folder = _absolute(path)
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already; choose another place or add --overwrite")
    if folder.exists() and (not _holds_weights(folder) or (folder / TRAINING).exists()):
        raise FileExistsError(
            f"{path}: is no weights checkpoint, so it is not overwritten; remove it yourself"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        unfinished = Path(scratch) / folder.name
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            checkpointer.save(unfinished, ocp.args.Composite(**weights_items(metadata, parameters)))
        write_checksums(unfinished)
        if folder.exists():
            folder.rmtree()
        unfinished.rename(folder)


def load_weights(path: AnyPath) -> tuple[Metadata, Parameters]:
    """Metadata and parameters (NumPy arrays) of a checkpoint.

    `path` is a checkpoint's folder, or a training run's (or its `checkpoints` or `checkpoints/best`), whose
    newest sound step is taken.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: there is no checkpoint, or it is damaged.
    """
    folder = find_checkpoint(path)
    metadata = _read_metadata(folder, path)
    expected = expected_shapes(metadata)
    with closing(ocp.StandardCheckpointHandler()) as handler, _report_damage(path):
        stored = handler.metadata(folder / PARAMETERS).tree
        if wrong := misfits(stored, expected):
            raise ValueError("; ".join(wrong))
        # NumPy arrays as targets: a checkpoint written on eight devices opens on one.
        target = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), expected)
        return metadata, handler.restore(folder / PARAMETERS, args=ocp.args.StandardRestore(target))


def load_metadata(path: AnyPath) -> Metadata:
    """The metadata alone, from a path as `load_weights` takes.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: there is no checkpoint or its metadata cannot be read.
    """
    return _read_metadata(find_checkpoint(path), path)


def _read_metadata(folder: epath.Path, path: AnyPath) -> Metadata:
    with closing(ocp.JsonCheckpointHandler()) as handler, _report_damage(path):
        return Metadata.from_json(handler.restore(folder / METADATA))


def expected_shapes(metadata: Metadata) -> Parameters:
    """The tree of `jax.ShapeDtypeStruct` that belongs to such metadata."""
    shapes = parameter_shapes(metadata.spec)
    return shapes if metadata.kind == "network" else {"backbone": shapes["backbone"]}


@contextmanager
def _report_damage(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{path}: damaged checkpoint: {error}") from error


def require_whole(metadata: Metadata, *, path: AnyPath) -> None:
    """Refuse a backbone where a whole network is needed.

    Raises:
        ValueError: the checkpoint holds a backbone alone.
    """
    if metadata.kind == "backbone":
        raise ValueError(
            f"{path}: got a backbone without a head, expected a whole network; "
            f"train one from it with --config.init_from={path}"
        )


def require_spec(metadata: Metadata, spec: ModelSpec, *, path: AnyPath) -> None:
    """Refuse a checkpoint that is not a whole network of this spec.

    Raises:
        ValueError: it is a backbone, or a field that shapes the parameters differs.
    """
    require_whole(metadata, path=path)
    if different := differing_fields(metadata.spec, spec, SHAPING_FIELDS):
        raise ValueError(f"{path}: checkpoint of another model: {'; '.join(different)}")


def find_checkpoint(path: AnyPath) -> epath.Path:
    """The folder that holds the checkpoint's items: `path` or, in a training run's folder, a step's.

    That is the newest sound one; a damaged one is passed over with a warning.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: something is there, but no checkpoint, or damaged ones alone.
    """
    root = _absolute(path)
    if not root.exists():
        raise FileNotFoundError(f"checkpoint {path}: no such file or folder")
    if root.is_file():
        raise ValueError(
            f"{path}: got a file, expected a checkpoint's folder; "
            f"PyTorch's files become one by: python convert_deit_weights.py {path} DEST"
        )
    if _holds_weights(root):
        if damage := find_damage(Path(root)):
            raise ValueError(f"{path}: damaged checkpoint: {damage}")
        return root
    steps = list_steps(root) or list_steps(root / CHECKPOINTS)
    if not steps:
        raise ValueError(
            f"{path}: no checkpoint in this folder: expected {PARAMETERS}/ and {METADATA}/, "
            f"or a training run's {CHECKPOINTS}/STEP/"
        )
    return epath.Path(newest_sound(steps))


def list_steps(folder: AnyPath) -> list[Path]:
    """A training run's checkpoints, newest first. Orbax names a step that it is still writing otherwise."""
    folder = Path(folder)
    steps = [child for child in folder.iterdir() if child.name.isdecimal()] if folder.is_dir() else []
    return sorted(steps, key=lambda step: int(step.name), reverse=True)


def newest_sound(steps: list[Path]) -> Path:
    """The first of `steps`, newest first, that is on disk as it was written; warns of those before it.

    Raises:
        ValueError: all of them are damaged.
    """
    damages = []
    for step in steps:
        damage = find_damage(step)
        if damage is None:
            if damages:
                _log.warning("damaged checkpoint: %s; taking the one before, %s", "; ".join(damages), step)
            return step
        damages.append(f"{step}: {damage}")
    raise ValueError(f"no sound checkpoint: {'; '.join(damages)}; nothing was deleted")


def _holds_weights(folder: Path | epath.Path) -> bool:
    return (folder / PARAMETERS).is_dir() and (folder / METADATA).is_dir()


def _absolute(path: AnyPath) -> epath.Path:
    return epath.Path(path).expanduser().resolve()  # orbax takes absolute paths alone

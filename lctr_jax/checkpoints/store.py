"""Weights on disk through Orbax, in one layout for checkpoints of the converter and of training.

A checkpoint is a folder of Orbax items: `params`, `metadata` and, from training, `training` (optimizer state,
step, position in the data). Weights are read from the first two only.
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
CHECKPOINTS = "checkpoints"  # folder of a training run with one checkpoint per step

AnyPath = str | os.PathLike[str]

_log = logging.getLogger(__name__)


def weights_items(metadata: Metadata, parameters: Parameters) -> dict[str, ocp.args.CheckpointArgs]:
    """Return the items that make a checkpoint readable as weights, for `ocp.args.Composite`."""
    return {
        PARAMETERS: ocp.args.StandardSave(parameters),
        METADATA: ocp.args.JsonSave(metadata.to_json()),
    }


def save_weights(
    path: AnyPath, metadata: Metadata, parameters: Parameters, *, overwrite: bool = False
) -> None:
    """Write a weights checkpoint to the folder `path`, atomically.

    Raises:
        FileExistsError: `path` exists; with `overwrite`, it is not a weights checkpoint.
    """
    folder = _absolute(path)
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{path}: already exists; choose another path or add --overwrite")
    if folder.exists() and (not _holds_weights(folder) or (folder / TRAINING).exists()):
        raise FileExistsError(
            f"{path}: is not a weights checkpoint and is not overwritten; remove it yourself"
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
    """Read the metadata and parameters (NumPy arrays) of a checkpoint.

    `path` is a checkpoint's folder, or that of a training run (or its `checkpoints` or `checkpoints/best`),
    whose newest undamaged step is used.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no checkpoint, or it is damaged.
    """
    folder = find_checkpoint(path)
    metadata = _read_metadata(folder, path)
    expected = expected_shapes(metadata)
    with closing(ocp.StandardCheckpointHandler()) as handler, _report_damage(path):
        stored = handler.metadata(folder / PARAMETERS).tree
        if wrong := misfits(stored, expected):
            raise ValueError("; ".join(wrong))
        # NumPy arrays as targets, so that a checkpoint written on eight devices can be read on one.
        target = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), expected)
        return metadata, handler.restore(folder / PARAMETERS, args=ocp.args.StandardRestore(target))


def load_metadata(path: AnyPath) -> Metadata:
    """Read only the metadata; `path` as in `load_weights`.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no checkpoint, or its metadata cannot be read.
    """
    return _read_metadata(find_checkpoint(path), path)


def _read_metadata(folder: epath.Path, path: AnyPath) -> Metadata:
    with closing(ocp.JsonCheckpointHandler()) as handler, _report_damage(path):
        return Metadata.from_json(handler.restore(folder / METADATA))


def expected_shapes(metadata: Metadata) -> Parameters:
    """Return the tree of `jax.ShapeDtypeStruct` that belongs to such metadata."""
    shapes = parameter_shapes(metadata.spec)
    return shapes if metadata.kind == "network" else {"backbone": shapes["backbone"]}


@contextmanager
def _report_damage(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{path}: damaged checkpoint: {error}") from error


def require_whole(metadata: Metadata, *, path: AnyPath) -> None:
    """Refuse a backbone where a network with a head is needed.

    Raises:
        ValueError: the checkpoint contains only a backbone.
    """
    if metadata.kind == "backbone":
        raise ValueError(
            f"{path}: got a backbone without a head, expected a complete network; "
            f"train one from it with --config.init_from={path}"
        )


def require_spec(metadata: Metadata, spec: ModelSpec, *, path: AnyPath) -> None:
    """Refuse a checkpoint that is not a complete network of this spec.

    Raises:
        ValueError: it is a backbone, or a field that affects parameter shapes differs.
    """
    require_whole(metadata, path=path)
    if different := differing_fields(metadata.spec, spec, SHAPING_FIELDS):
        raise ValueError(f"{path}: checkpoint of another model: {'; '.join(different)}")


def find_checkpoint(path: AnyPath) -> epath.Path:
    """Return the folder with the checkpoint's items: `path`, or the newest undamaged step of a training run.

    Damaged steps are skipped with a warning.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: there is no checkpoint, or all are damaged.
    """
    root = _absolute(path)
    if not root.exists():
        raise FileNotFoundError(f"checkpoint {path}: no such file or folder")
    if root.is_file():
        raise ValueError(
            f"{path}: got a file, expected a checkpoint's folder; "
            f"convert a PyTorch file first: python convert_deit_weights.py {path} DEST"
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
    """List a training run's checkpoints, newest first. Orbax uses another name until a step is complete."""
    folder = Path(folder)
    steps = [child for child in folder.iterdir() if child.name.isdecimal()] if folder.is_dir() else []
    return sorted(steps, key=lambda step: int(step.name), reverse=True)


def newest_sound(steps: list[Path]) -> Path:
    """Return the first undamaged one of `steps`, which are sorted newest first; warn about skipped ones.

    Raises:
        ValueError: all are damaged.
    """
    damages = []
    for step in steps:
        damage = find_damage(step)
        if damage is None:
            if damages:
                _log.warning("damaged checkpoint: %s; using the previous one, %s", "; ".join(damages), step)
            return step
        damages.append(f"{step}: {damage}")
    raise ValueError(f"no undamaged checkpoint: {'; '.join(damages)}; nothing was deleted")


def _holds_weights(folder: Path | epath.Path) -> bool:
    return (folder / PARAMETERS).is_dir() and (folder / METADATA).is_dir()


def _absolute(path: AnyPath) -> epath.Path:
    return epath.Path(path).expanduser().resolve()  # Orbax requires absolute paths

"""Verification that a resumed run uses the same training images and initial weights, even if moved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lctr_jax.checkpoints.transfer import weights_digest
from lctr_jax.data.contents import Contents, describe_differences, read_contents
from lctr_jax.data.samples import RecordSource

_FILE = "training_images.json"


class Inputs(NamedTuple):
    """Digests of a run's inputs, as recorded in its checkpoints.

    Attributes:
        images: of the training images with their labels, in order.
        weights: of the weights in `init_from`; empty if they are random.
    """

    images: str
    weights: str


def tie_to_inputs(
    workdir: Path, split: RecordSource, init_from: str, started: Mapping[str, str] | None
) -> Inputs:
    """Compare a run's inputs with those it was started with; a new run records its own.

    Args:
        workdir: the run's folder.
        split: the training split.
        init_from: the initial weights.
        started: digests from the checkpoint that the run is resumed from; None for a new run.

    Raises:
        ValueError: the training images or the initial weights have changed.
    """
    contents = read_contents(split)
    inputs = Inputs(contents.digest, weights_digest(init_from) if init_from else "")
    if started is None:
        (workdir / _FILE).write_text(json.dumps(contents.to_json()) + "\n")
        return inputs
    if inputs.images != started["images"]:
        raise ValueError(
            f"{workdir}: the training images differ from those that its run was started with"
            f"{_describe(workdir, contents)}; restore them, or choose another --workdir"
        )
    if inputs.weights != started["weights"]:
        raise ValueError(
            f"init_from: {init_from or 'nothing'} contains other weights than those that the run in "
            f"{workdir} was started with; use those, or choose another --workdir"
        )
    return inputs


def _describe(workdir: Path, now: Contents) -> str:
    """Describe which images differ, if the folder still has the list."""
    try:
        before = Contents(**json.loads((workdir / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return ""
    return f" ({describe_differences(now, before)})"

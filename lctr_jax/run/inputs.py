"""A run is tied to its training images and initial weights: by what they are, not by where they lie."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lctr_jax.checkpoints.transfer import weights_digest
from lctr_jax.data.contents import Contents, describe_differences, read_contents
from lctr_jax.data.samples import RecordSource

_FILE = "training_images.json"


class Inputs(NamedTuple):
    """What a run started from, as its checkpoints record it.

    `images`: digest of the training images with their labels, in order. `weights`: digest of the weights of
    `init_from`; empty where they were random.
    """

    images: str
    weights: str


def tie_to_inputs(
    workdir: Path, split: RecordSource, init_from: str, started: Mapping[str, str] | None
) -> Inputs:
    """Compare a run's inputs with those that it was started with; a new run records its own in the folder.

    `started`: what the checkpoint that the run goes on from recorded; None for a new run.

    Raises:
        ValueError: the training images or the initial weights are others.
    """
    contents = read_contents(split)
    inputs = Inputs(contents.digest, weights_digest(init_from) if init_from else "")
    if started is None:
        (workdir / _FILE).write_text(json.dumps(contents.to_json()) + "\n")
        return inputs
    if inputs.images != started["images"]:
        raise ValueError(
            f"{workdir}: the training images are not those that its run was started with"
            f"{_describe(workdir, contents)}; restore them, or choose another --workdir"
        )
    if inputs.weights != started["weights"]:
        raise ValueError(
            f"init_from: {init_from or 'nothing'} holds other weights than the run in {workdir} was started "
            "with; give those, or choose another --workdir"
        )
    return inputs


def _describe(workdir: Path, now: Contents) -> str:
    """Which images differ, where the folder still has the list."""
    try:
        before = Contents(**json.loads((workdir / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return ""
    return f" ({describe_differences(now, before)})"

"""The classes of ILSVRC2012 and the labels of its validation images, as TFDS ships them."""

import functools
import re
from pathlib import Path

import tensorflow_datasets as tfds

_FOLDER = "datasets/imagenet2012"  # TFDS's own `imagenet2012` is built from the two files in it
_OFFICIAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})", re.ASCII)


@functools.cache
def all_wnids() -> tuple[str, ...]:
    """Return the 1,000 wnids in sorted order, which is the order of labels.

    Raises:
        OSError: this version of TFDS does not contain the list.
    """
    return _read("labels.txt")


def validation_wnid(stem: str) -> str | None:
    """Return the class of a validation image by its official name without suffix; None for other names.

    Raises:
        OSError: this version of TFDS does not contain the list.
    """
    match = _OFFICIAL_NAME.fullmatch(stem)
    number = int(match[1]) if match else 0
    wnids = _read("validation_labels.txt")
    return wnids[number - 1] if 1 <= number <= len(wnids) else None


@functools.cache
def _read(name: str) -> tuple[str, ...]:
    return tuple(Path(tfds.core.tfds_path(_FOLDER), name).read_text().split())

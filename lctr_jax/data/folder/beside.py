"""Masks next to the images that they belong to, which would otherwise be read as images."""

import re
from collections.abc import Sequence
from pathlib import Path

_MASK = re.compile(r"(.+)_(?:ignore|mask|m\w+_[0-9a-f]{8})")


def check_no_masks(paths: Sequence[Path], root: Path) -> None:
    """Check that no image of a folder is the mask of another one.

    wsoleval's OpenImages30k has `ID_ignore.png` and `ID_mMID_INSTANCE.png` next to `ID.jpg`.

    Raises:
        ValueError: one is; the message names both.
    """
    images = {path.stem: path for path in paths if path.suffix.lower() != ".png"}
    for path in paths:
        named = _MASK.fullmatch(path.stem) if path.suffix.lower() == ".png" else None
        if named and (image := images.get(named[1])):
            where = path.relative_to(root).as_posix()
            raise ValueError(
                f"data.root: {where} is a mask of {image.name}, not an image of its own; for OpenImages30k "
                f"run `python -m lctr_jax.prepare openimages --source {root} --metadata DIR`, for other data "
                "move masks to ROOT/masks/SPLIT/CLASS/NAME.png"
            )

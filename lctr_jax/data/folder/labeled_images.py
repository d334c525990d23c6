"""What is found in an image folder before boxes and masks are read: images with their classes."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from lctr_jax.data.folder.annotation_files import SplitBoxes
from lctr_jax.data.folder.layout import FolderLayout


class LabeledImage(NamedTuple):
    """The file of an image and its class, the name of a folder or a value in a table."""

    path: Path
    class_key: str


@dataclasses.dataclass(frozen=True)
class LabeledImages:
    """The images of a folder.

    Attributes:
        layout: the folder of each split.
        classes: the classes in label order.
        splits: images of each split by id.
        boxes: boxes of a split that its table lists together with the classes.
        notes: how they were found, one line each.
    """

    layout: FolderLayout
    classes: list[str]
    splits: dict[str, dict[str, LabeledImage]]
    boxes: dict[str, SplitBoxes] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

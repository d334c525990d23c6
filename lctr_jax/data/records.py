"""What a record of a prepared dataset holds, and where its bytes come from before that."""

import collections
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32

from lctr_jax.data.name_rules import check_class_names

NO_BOXES = np.zeros((0, 4), np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class ByteRange:
    """A whole file, or the part of an uncompressed archive that is one file."""

    path: str
    offset: int
    size: int
    modified_ns: int

    @classmethod
    def of_file(cls, path: str | Path) -> "ByteRange":
        """Cover a whole file."""
        status = Path(path).stat()
        return cls(str(path), 0, status.st_size, status.st_mtime_ns)

    def read(self) -> bytes:
        """Return the bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One image to be written: light enough to list a million of them before any is read.

    `upright`: boxes and mask are in the frame of the image turned by its EXIF orientation.
    """

    id: str
    label: int
    image: ByteRange
    boxes_xyxy: Float32[np.ndarray, "num_boxes 4"] = dataclasses.field(default_factory=lambda: NO_BOXES)
    mask: ByteRange | None = None
    upright: bool = False

    def digest(self) -> bytes:
        """Change with anything that would change the record."""
        facts = (self.id, self.label, self.image, self.boxes_xyxy.tolist(), self.mask)
        return hashlib.sha256(repr((*facts, "upright") if self.upright else facts).encode()).digest()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything that a builder found: the class names in label order, and the items of each split.

    `notes`: what a user should know of how the data was read, one line each.
    """

    class_names: list[str]
    splits: dict[str, list[Item]]
    notes: list[str] = dataclasses.field(default_factory=list)


def features(*, names: Sequence[str] | None = None, masks: bool = False) -> tfds.features.FeaturesDict:
    """The features of a record; images and masks stay the encoded bytes that they were."""
    spec = {
        "image": tfds.features.Image(shape=(None, None, None)),
        "id": tfds.features.Text(),
        "label": tfds.features.ClassLabel(names=names),
        "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
    }
    if masks:
        spec["mask"] = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
    return tfds.features.FeaturesDict(spec)


def check_manifest(manifest: Manifest, num_images: Mapping[str, int]) -> None:
    """Compare a manifest with what is known of the dataset.

    Raises:
        ValueError: a split has another number of images, a class has no training image, or its name cannot be
            kept.
    """
    check_class_names(manifest.class_names)
    for split, expected in num_images.items():
        if (found := len(manifest.splits.get(split, ()))) != expected:
            raise ValueError(f"{split}: found {found} images, expected {expected}; is the download complete?")
    seen = {item.label for item in manifest.splits["train"]}
    if missing := [name for label, name in enumerate(manifest.class_names) if label not in seen]:
        raise ValueError(f"train: {len(missing)} classes have no image, such as {missing[0]}")


def metadata(splits: Mapping[str, Sequence[Item]]) -> dict[str, list[str]]:
    """Say which splits have boxes and masks, and which are turned upright, to be kept with the dataset."""
    return {
        "splits_with_boxes": [
            s for s, items in splits.items() if any(len(item.boxes_xyxy) for item in items)
        ],
        "splits_with_masks": [s for s, items in splits.items() if any(item.mask for item in items)],
        "splits_upright": [s for s, items in splits.items() if any(item.upright for item in items)],
    }


def stratify(items: Sequence[Item], *, first: Set[str] = frozenset()) -> list[Item]:
    """Order items so that every prefix holds the same share of each class, the choice within a class hashed.

    A training split in this order can be cut by TFDS's own syntax: `train[:10%]` is held out, class by class,
    for choosing thresholds, and `train[10%:]` is the rest. Within a class, the ids of `first` come first.
    """
    by_class = collections.defaultdict(list)
    for item in items:
        rank = (item.id not in first, hashlib.sha256(item.id.encode()).digest())
        by_class[item.label].append((rank, item))
    placed = []
    for members in by_class.values():
        members.sort(key=lambda member: member[0])
        placed += [((rank + 0.5) / len(members), *member) for rank, member in enumerate(members)]
    return [item for _, _, item in sorted(placed, key=lambda place: place[:2])]

"""Records of a prepared data set, and the items they are made from."""

import collections
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32

from lctr_jax.data.name_rules import check_class_names

NO_BOXES = np.zeros((0, 4), np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class ByteRange:
    """A file, or the part of an uncompressed archive that is one file."""

    path: str
    offset: int
    size: int
    modified_ns: int

    @classmethod
    def of_file(cls, path: str | Path) -> "ByteRange":
        """Return the byte range of a whole file."""
        status = Path(path).stat()
        return cls(str(path), 0, status.st_size, status.st_mtime_ns)

    def read(self) -> bytes:
        """Return the bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@runtime_checkable
class Readable(Protocol):
    """Bytes that are read when they are needed: of a file, or joined from several (`masks`)."""

    def read(self) -> bytes:
        """Return the bytes."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One image to be written; small enough to list a million of them before reading any.

    Attributes:
        id: unique in the data set.
        label: class index.
        image: location of the encoded image.
        boxes_xyxy: boxes in pixels of the original image; empty if unknown.
        mask: the encoded mask, if any.
        upright: boxes and mask refer to the image after its EXIF rotation.
    """

    id: str
    label: int
    image: ByteRange
    boxes_xyxy: Float32[np.ndarray, "num_boxes 4"] = dataclasses.field(default_factory=lambda: NO_BOXES)
    mask: Readable | None = None
    upright: bool = False

    def digest(self) -> bytes:
        """Return a hash that changes with anything that changes the record."""
        facts = (self.id, self.label, self.image, self.boxes_xyxy.tolist(), self.mask)
        return hashlib.sha256(repr((*facts, "upright") if self.upright else facts).encode()).digest()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The class names in label order, and the items of each split.

    Attributes:
        class_names: in label order.
        splits: items of each split.
        notes: notes for the user on how the data was read, one line each.
    """

    class_names: list[str]
    splits: dict[str, list[Item]]
    notes: list[str] = dataclasses.field(default_factory=list)


def features(*, names: Sequence[str] | None = None, masks: bool = False) -> tfds.features.FeaturesDict:
    """Return the TFDS features of a record; images and masks stay encoded."""
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
    """Compare a manifest with what is known about the data set.

    Raises:
        ValueError: a split has another number of images, a class has no training image, or its name cannot be
            stored.
    """
    check_class_names(manifest.class_names)
    for split, expected in num_images.items():
        if (found := len(manifest.splits.get(split, ()))) != expected:
            raise ValueError(f"{split}: found {found} images, expected {expected}; is the download complete?")
    if "train" not in manifest.splits:  # for evaluation alone
        return
    seen = {item.label for item in manifest.splits["train"]}
    if missing := [name for label, name in enumerate(manifest.class_names) if label not in seen]:
        raise ValueError(f"train: {len(missing)} classes have no image, such as {missing[0]}")


def metadata(splits: Mapping[str, Sequence[Item]]) -> dict[str, list[str]]:
    """Return which splits have boxes and masks, and which are rotated, to be stored with the data set."""
    return {
        "splits_with_boxes": [
            s for s, items in splits.items() if any(len(item.boxes_xyxy) for item in items)
        ],
        "splits_with_masks": [s for s, items in splits.items() if any(item.mask for item in items)],
        "splits_upright": [s for s, items in splits.items() if any(item.upright for item in items)],
    }


def stratify(items: Sequence[Item], *, first: Set[str] = frozenset()) -> list[Item]:
    """Order items so that every prefix contains the same share of each class.

    A training split in this order can be split by TFDS's syntax: `train[:10%]` is a stratified held-out set,
    e.g. for choosing thresholds, and `train[10%:]` is the rest. Within a class, the ids in `first` come
    first, then the order is that of hashed ids.
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

"""The images of a split, wherever they are stored, to detect whether two runs use the same data."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lctr_jax.data.samples import RecordSource

_NAMED = 3  # files that a message lists per kind
MAX_READ = (
    100_000  # of a larger split every second, third, ... image is read, so that a run starts in seconds
)


@dataclass(frozen=True)
class Contents:
    """The images of a split in order.

    Attributes:
        num_images: number of all images, even if not all were read.
        images: (label, CRC-32 of the encoded image, whether EXIF rotates it) by id.
    """

    num_images: int
    images: Mapping[str, Sequence[int]]

    @property
    def digest(self) -> str:
        """SHA-256 of everything, in hexadecimal; unchanged if the files are moved."""
        facts = (self.num_images, [(name, *map(int, fact)) for name, fact in self.images.items()])
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON-compatible types."""
        return {"num_images": self.num_images, "images": {id: list(fact) for id, fact in self.images.items()}}


def read_contents(split: RecordSource) -> Contents:
    """Read every image of a split in encoded form; of more than `MAX_READ` an evenly spaced subset."""
    stride = -(-len(split) // MAX_READ)
    records = (split[index] for index in range(0, len(split), stride))
    images = {
        record["id"]: (int(record["label"]), zlib.crc32(record["image"]), int(record.get("upright", False)))
        for record in records
    }
    return Contents(len(split), images)


def describe_differences(now: Contents, before: Contents) -> str:
    """Describe how many images were added, removed or changed, with some names of each."""
    if min(now.num_images, before.num_images) > MAX_READ and now.num_images != before.num_images:
        return f"{before.num_images} images then, {now.num_images} now"
    new = [name for name in now.images if name not in before.images]
    gone = [name for name in before.images if name not in now.images]
    both = [name for name in now.images if name in before.images]
    relabeled = [name for name in both if now.images[name][0] != before.images[name][0]]
    redrawn = [name for name in both if list(now.images[name][1:]) != list(before.images[name][1:])]
    kinds = {"new": new, "missing": gone, "with another label": relabeled, "with other content": redrawn}
    return "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names) or (
        "the same images in another order"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")

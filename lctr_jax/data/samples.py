"""From a record of a split to one sample of a batch."""

import contextlib
import dataclasses
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import grain
import numpy as np

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError, RgbPixels, decode_pixels, load_rgb, open_image
from lctr_jax.data.orientation import read_orientation
from lctr_jax.data.train_transforms import augment_image

_log = logging.getLogger(__name__)

Record = dict[str, Any]
RecordSource = (
    grain.sources.RandomAccessDataSource[Record] | Sequence[Record]
)  # picklable, for worker processes
CorruptPolicy = Literal["error", "skip"]


class _LastRead:
    """Caches each thread's last record: repeated augmentation reads a record several times in a row."""

    def __init__(self):
        self._thread = threading.local()

    def __reduce__(self):
        return _LastRead, ()  # every worker process starts with an empty cache

    def get(self, index: int, read: Callable[[int], Any]) -> Any:
        if getattr(self._thread, "index", None) != index:
            self._thread.value = read(index)
            self._thread.index = index
        return self._thread.value


@dataclasses.dataclass(frozen=True)
class TrainSample(grain.transforms.RandomMap):
    """Draws a random view of the record at an index."""

    split: RecordSource = dataclasses.field(repr=False)  # excluded, because Grain prints its transforms
    augmentation: Augmentation
    image_size: int
    on_corrupt: CorruptPolicy
    _last_read: _LastRead = dataclasses.field(default_factory=_LastRead, repr=False)

    def random_map(  # pyright: ignore[reportIncompatibleMethodOverride]  grain's returns None
        self, element: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return {image, label, id, replaced} of record `element`, or of the next one that can be decoded.

        Raises:
            CorruptImageError: a record is corrupt and the policy is "error", or no record can be decoded.
        """
        for index in itertools.chain(range(element, len(self.split)), range(element)):
            try:
                record, augmented = self._draw(index, rng)
            except CorruptImageError as error:
                if self.on_corrupt == "error":
                    raise
                _log.warning("skipped: %s", error)
                continue
            return {
                "image": augmented,
                "label": np.int32(record["label"]),
                "id": np.str_(record["id"]),
                "replaced": np.bool_(index != element),
            }
        raise CorruptImageError(f"none of the {len(self.split)} records of the split can be decoded")

    def _draw(self, index: int, rng: np.random.Generator) -> tuple[Record, np.ndarray]:
        if (
            self.augmentation.fast_decode
        ):  # the decoded size depends on the view, so decoding cannot be shared
            record = self.split[index]
            with _naming(record):
                image = open_image(record["image"])
                if record.get("upright") and read_orientation(image) != 1:
                    image = load_rgb(image, upright=True)
                return record, augment_image(image, self.augmentation, rng, image_size=self.image_size)
        record, pixels = self._last_read.get(index, self._read)
        return record, augment_image(pixels, self.augmentation, rng, image_size=self.image_size)

    def _read(self, index: int) -> tuple[Record, RgbPixels]:
        record = self.split[index]
        with _naming(record):
            return record, decode_record(record)


@dataclasses.dataclass(frozen=True)
class EvaluationSample(grain.transforms.Map):
    """Transforms the record at an index to the protocol's frame; None past the end of the split."""

    split: RecordSource = dataclasses.field(repr=False)  # excluded, because Grain prints its transforms
    geometry: Geometry

    def map(  # pyright: ignore[reportIncompatibleMethodOverride]  grain's returns None
        self, element: int
    ) -> dict[str, Any] | None:
        """Return {image, record}; `record` contains what evaluation needs besides the pixels.

        Raises:
            CorruptImageError: the record cannot be decoded; evaluation does not skip records.
        """
        if element >= len(self.split):
            return None
        record = self.split[element]
        with _naming(record):
            image = decode_record(record)
            framed = self.geometry.transform_image(image)
        height, width = image.shape[:2]
        described = {key: record[key] for key in ("id", "label", "boxes_xyxy")}
        described |= {"width": width, "height": height, "mask": record.get("mask")}
        return {"image": framed, "record": described}


def decode_record(record: Record) -> RgbPixels:
    """Decode a record to RGB, rotated by EXIF if its split is `upright`.

    Raises:
        CorruptImageError: the bytes cannot be decoded.
    """
    return decode_pixels(record["image"], upright=record.get("upright", False))


@contextlib.contextmanager
def _naming(record: Record) -> Iterator[None]:
    try:
        yield
    except CorruptImageError as error:
        raise CorruptImageError(f"record {record['id']!r}: {error}; repair or remove the file") from error

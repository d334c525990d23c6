"""Masks: several instances and an ignored region joined to one, and a stored mask in the network's frame.

A stored mask is one PNG image with 0 for background, 255 for ignored and any other value for the object. If
the masks of an image have several sizes, it is one such PNG image of each size, one after another, because
no single size would give the same pixels in every frame.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError, decode_mask, decode_rgb
from lctr_jax.data.records import ByteRange

_OBJECT, _IGNORED = 1, 255
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class InstanceMasks:
    """An image's masks in separate files: one of each instance, and one of the region to ignore."""

    instances: tuple[ByteRange, ...]
    ignored: ByteRange | None = None

    def read(self) -> bytes:
        """Return the joined mask as it is stored.

        Raises:
            CorruptImageError: a file cannot be decoded; the message names it.
        """
        instances = [_read_region(place) for place in self.instances]
        return join_masks(instances, [] if self.ignored is None else [_read_region(self.ignored)])


def join_masks(
    instances: Sequence[Bool[np.ndarray, "_ _"]], ignored: Sequence[Bool[np.ndarray, "_ _"]]
) -> bytes:
    """Join regions of any sizes as wsoleval's evaluator does, and return the stored mask.

    A pixel of any instance is object; one of the ignored regions is ignored where there is no instance.
    wsoleval joins them after resizing. Regions of one size are joined before it, which gives the same
    pixels, because nearest-neighbor interpolation picks the same pixel of each.
    """
    joined: dict[tuple[int, ...], np.ndarray] = {}
    for regions, value in ((ignored, _IGNORED), (instances, _OBJECT)):
        for region in regions:
            mask = joined.setdefault(region.shape, np.zeros(region.shape, np.uint8))
            mask[region] = value
    return b"".join(cv2.imencode(".png", mask)[1].tobytes() for mask in joined.values())


def mask_in_frame(
    stored: bytes, geometry: Geometry, *, width: int, height: int
) -> UInt8[np.ndarray, "size size"]:
    """Return a stored mask in the frame of a `width` x `height` image.

    Raises:
        CorruptImageError: it cannot be decoded.
    """
    masks = [
        geometry.transform_mask(_at_image_size(decode_mask(part), geometry, (width, height)))
        for part in _split_images(stored)
    ]
    if len(masks) == 1:
        return masks[0]
    stack = np.stack(masks)
    is_object = ((stack != 0) & (stack != _IGNORED)).any(axis=0)
    is_ignored = (stack == _IGNORED).any(axis=0) & ~is_object
    return (_OBJECT * is_object + _IGNORED * is_ignored).astype(np.uint8)


def _at_image_size(mask: Image.Image, geometry: Geometry, size: tuple[int, int]) -> Image.Image:
    """Resize a mask to its image if the frame is a crop of the image; the whole image needs no such step."""
    if geometry.protocol == "wsoleval" or mask.size == size:
        return mask
    return mask.resize(size, Image.Resampling.NEAREST)


def _read_region(place: ByteRange) -> Bool[np.ndarray, "height width"]:
    """Return the nonzero pixels of a mask file, read by OpenCV as wsoleval does."""
    encoded = place.read()
    try:
        decode_rgb(encoded)  # OpenCV would return the upper part of a truncated file
    except CorruptImageError as error:
        raise CorruptImageError(f"{place.path}: {error}") from error
    gray = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
    if gray is None:
        raise CorruptImageError(f"{place.path}: cannot decode the mask; is the file complete?")
    return gray > 0


def _split_images(stored: bytes) -> Iterator[bytes]:
    """Yield each of the PNG images that follow one another; other content as it is."""
    start, place = 0, len(_SIGNATURE)
    while stored.startswith(_SIGNATURE, start) and place + 8 <= len(stored):
        length, kind = struct.unpack_from(">I4s", stored, place)
        place += 12 + length
        if kind == b"IEND" and stored.startswith(_SIGNATURE, place):
            yield stored[start:place]
            start, place = place, place + len(_SIGNATURE)
    yield stored[start:]

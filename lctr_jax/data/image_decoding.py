"""Decode images to RGB: open the header, then load the pixels.

Images above `MAX_PIXELS` are not decoded: a file of a few kilobytes can declare many gigabytes of pixels.
Gray, CMYK and palette images are converted by PIL; gray images of more than 8 bits by `eight_bits`. EXIF
orientation is applied only if `upright` is set, because the boxes and masks of published data sets refer to
the stored pixels.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from lctr_jax.data import eight_bits, image_formats
from lctr_jax.data.jpeg_header import read_jpeg_header
from lctr_jax.data.orientation import read_orientation, turn

MAX_PIXELS = 100_000_000
"""Width times height; 300 MB as RGB. More than cameras produce, and little enough for the memory."""


RgbPixels = UInt8[np.ndarray, "_height _width 3"]
"""An RGB image; those of one call may differ in size."""

_END_OF_JPEG = b"\xff\xd9"
_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


class CorruptImageError(ValueError):
    """The bytes are not an image that can be decoded."""


def open_image(encoded: bytes) -> Image.Image:
    """Read the header of an image; the pixels are not decoded yet.

    Raises:
        CorruptImageError: the format is not supported, or there are more than `MAX_PIXELS` pixels.
    """
    try:
        with _corruption_named():
            image = Image.open(io.BytesIO(encoded), formats=image_formats.pil_formats())
    except CorruptImageError as error:
        if not isinstance(error.__cause__, UnidentifiedImageError):
            raise
        reason = image_formats.why_unknown(encoded[:16])
        raise CorruptImageError(f"cannot decode the image: {reason}") from error.__cause__
    if image.width * image.height > MAX_PIXELS:
        raise CorruptImageError(
            f"cannot decode the image: {image.width} x {image.height} pixels, at most {MAX_PIXELS} allowed"
        )
    return image


def load_rgb(image: Image.Image, *, upright: bool = False) -> Image.Image:
    """Decode the pixels of an opened image, and apply its EXIF orientation if `upright`.

    Raises:
        CorruptImageError: the pixels cannot be decoded, e.g. because the file is truncated.
    """
    with _corruption_named():
        orientation = read_orientation(image) if upright else 1
        image.load()
        if eight_bits.is_deep(image):
            image = eight_bits.to_eight_bits(image)
        return turn(image if image.mode == "RGB" else image.convert("RGB"), orientation)


def decode_rgb(encoded: bytes, *, upright: bool = False) -> Image.Image:
    """Open and decode an image.

    Raises:
        CorruptImageError: the bytes cannot be decoded, e.g. because the file is truncated.
    """
    return load_rgb(open_image(encoded), upright=upright)


def decode_pixels(encoded: bytes, *, upright: bool = False) -> RgbPixels:
    """Decode like `decode_rgb` to an array; OpenCV decodes color JPEGs to the same pixels, a little faster.

    Raises:
        CorruptImageError: the bytes cannot be decoded, e.g. because the file is truncated.
    """
    pixels = _decode_by_opencv(encoded, upright=upright)
    return np.asarray(decode_rgb(encoded, upright=upright)) if pixels is None else pixels


def _decode_by_opencv(encoded: bytes, *, upright: bool) -> RgbPixels | None:
    """Decode a JPEG of three colors that is not to be rotated; None for all other bytes."""
    header = read_jpeg_header(encoded)
    # OpenCV would fill the missing part of a truncated file, so a file without end marker is left to PIL.
    if header is None or header.components != 3 or not encoded.endswith(_END_OF_JPEG):
        return None
    if not 0 < header.width * header.height <= MAX_PIXELS:
        return None
    if upright and header.may_be_rotated and read_orientation(open_image(encoded)) != 1:
        return None
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), _AS_STORED)
    whole = pixels is not None and pixels.shape == (header.height, header.width, 3)
    return pixels if whole else None


def decode_mask(encoded: bytes) -> Image.Image:
    """Decode the 8-bit values of a mask: indices of a palette, not colors; values above 255 become 1.

    Raises:
        CorruptImageError: the bytes cannot be decoded.
    """
    image = open_image(encoded)
    with _corruption_named():
        image.load()
        if image.mode == "P":
            return Image.fromarray(np.asarray(image))
        if eight_bits.is_deep(image):
            values = np.asarray(image)
            return Image.fromarray(np.where(values > 255, 1, values).astype(np.uint8))
        return image.convert("L")


@contextlib.contextmanager
def _corruption_named() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about metadata that does not affect the pixels
            yield
    except Exception as error:  # PIL's decoders raise many types on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorruptImageError(f"cannot decode the image: {reason}") from error

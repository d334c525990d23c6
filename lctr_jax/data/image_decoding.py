"""Encoded images to RGB pixels: open the header, then load the pixels.

No image above `MAX_PIXELS` is decoded: a file of a few kilobytes can claim to be a picture of many gigabytes.
Gray, CMYK and palette images are converted by PIL; gray of more than 8 bits as `eight_bits` says. EXIF
orientation is followed only where `upright` is asked for: the boxes and masks of published data sets were
drawn on the pixels as they are stored.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, UnidentifiedImageError

from lctr_jax.data import eight_bits, image_formats
from lctr_jax.data.orientation import read_orientation, turn

MAX_PIXELS = 100_000_000
"""Width times height, 300 MB as RGB: more than cameras make, less than what exhausts a machine's memory."""


class CorruptImageError(ValueError):
    """The bytes are not an image that can be decoded."""


def open_image(encoded: bytes) -> Image.Image:
    """Read the header: the size is known, the pixels are not decoded yet.

    Raises:
      CorruptImageError: when no image format is recognized, or there are more than `MAX_PIXELS`.
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
    """Decode the pixels of an opened image, and turn them `upright` if asked to.

    Raises:
      CorruptImageError: when they cannot be decoded, truncated files included.
    """
    with _corruption_named():
        orientation = read_orientation(image) if upright else 1
        image.load()
        if eight_bits.is_deep(image):
            image = eight_bits.to_eight_bits(image)
        return turn(image if image.mode == "RGB" else image.convert("RGB"), orientation)


def decode_rgb(encoded: bytes, *, upright: bool = False) -> Image.Image:
    """Open and load.

    Raises:
      CorruptImageError: when the bytes cannot be decoded, truncated files included.
    """
    return load_rgb(open_image(encoded), upright=upright)


def decode_mask(encoded: bytes) -> Image.Image:
    """Open and load the 8-bit values of a mask: a palette's indices, not colors; deep ones above 255 as 1.

    Raises:
      CorruptImageError: when the bytes cannot be decoded.
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
            warnings.simplefilter("ignore")  # PIL warns about odd metadata that does not touch the pixels
            yield
    except Exception as error:  # PIL's decoders raise any of a dozen types on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorruptImageError(f"cannot decode the image: {reason}") from error

"""Encoded images to RGB pixels, as PIL gives them: open the header, then load the pixels.

No image above `MAX_PIXELS` is decoded: a file of a few kilobytes can claim to be a picture of many gigabytes.
Gray, CMYK and palette images are converted by PIL. Any EXIF orientation is ignored, which keeps pixels and
boxes in one frame: the field's box lists were drawn on unrotated pixels.
"""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

# What PIL's decoders are known to raise on damaged bytes; anything else is a fault of ours and must surface.
_DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

MAX_PIXELS = 100_000_000
"""Width times height, 300 MB as RGB: more than cameras make, less than what exhausts a machine's memory."""


class CorruptImageError(ValueError):
    """The bytes are not an image that PIL can decode."""


def open_image(encoded: bytes) -> Image.Image:
    """Read the header: the size is known, the pixels are not decoded yet.

    Raises:
      CorruptImageError: when no image format is recognized, or there are more than `MAX_PIXELS`.
    """
    with _corruption_named():
        image = Image.open(io.BytesIO(encoded))
    if image.width * image.height > MAX_PIXELS:
        raise CorruptImageError(
            f"cannot decode the image: {image.width} x {image.height} pixels, at most {MAX_PIXELS} allowed"
        )
    return image


def load_rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels of an opened image.

    Raises:
      CorruptImageError: when they cannot be decoded, truncated files included.
    """
    with _corruption_named():
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")


def decode_rgb(encoded: bytes) -> Image.Image:
    """Open and load.

    Raises:
      CorruptImageError: when the bytes cannot be decoded, truncated files included.
    """
    return load_rgb(open_image(encoded))


def decode_gray(encoded: bytes) -> Image.Image:
    """Open and load an image of one channel, such as a mask.

    Raises:
      CorruptImageError: when the bytes cannot be decoded, truncated files included.
    """
    image = open_image(encoded)
    with _corruption_named():
        return image.convert("L")


@contextlib.contextmanager
def _corruption_named() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about odd metadata that does not touch the pixels
            yield
    except UnidentifiedImageError as error:
        raise CorruptImageError("cannot decode the image: it is in no format that PIL knows") from error
    except _DECODER_ERRORS as error:
        raise CorruptImageError(f"cannot decode the image: {error}") from error

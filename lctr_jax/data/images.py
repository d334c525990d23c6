"""Encoded images to RGB pixels, as PIL gives them."""

import io
import struct
import warnings
import zlib

from PIL import Image

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


class CorruptImageError(ValueError):
    """The bytes are not an image that PIL can decode."""


def decode_rgb(encoded: bytes) -> Image.Image:
    """Decode to RGB: grey, CMYK and palette images are converted by PIL, any EXIF orientation is ignored.

    Ignoring EXIF keeps pixels and boxes in one frame: the field's box lists were drawn on unrotated pixels.

    Raises:
      CorruptImageError: when the bytes cannot be decoded, truncated files included.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about odd metadata that does not touch the pixels
            return Image.open(io.BytesIO(encoded)).convert("RGB")
    except _DECODER_ERRORS as error:
        raise CorruptImageError(f"cannot decode {len(encoded)} bytes as an image: {error}") from error

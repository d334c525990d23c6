"""EXIF orientation: how a stored image is rotated to be upright."""

import warnings

from PIL import Image

_TAG = 0x0112
_TURNS = {  # by the value of the tag, EXIF 2.32, table 6
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


def read_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8; 1 (upright) without a readable tag.

    TIFF images return 1, because PIL rotates them when decoding.
    """
    if image.format == "TIFF":
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(_TAG)
    except Exception:  # a damaged tag may raise any exception; the pixels are intact
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height after rotation, from the header only."""
    width, height = image.size
    return (height, width) if read_orientation(image) in _SIDEWAYS else (width, height)


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate an image of that orientation to be upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image

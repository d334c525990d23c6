"""Image files of all supported formats, damaged; EXIF blocks; masks; and files that are not images."""

import io
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.damage import damaged
from lctr_jax.data import image_formats
from lctr_jax.data.checks import Checks
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import decode_mask, decode_pixels, decode_rgb
from lctr_jax.data.records import ByteRange, Item

SIDE = 32


def encode(kind: str, *, mode: str = "RGB", **options: bytes) -> bytes:
    """Encode a small image in a format of PIL's."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _deep(kind: str, dtype: str) -> bytes:
    file = io.BytesIO()
    values = np.linspace(0, 60_000, 9 * 12).reshape(9, 12)
    Image.fromarray(values.astype(dtype)).save(file, kind)
    return file.getvalue()


def _sound() -> list[bytes]:
    kinds = ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000"]
    kinds += ["HEIF"] if image_formats.heic_is_read() else []
    files = [encode(kind) for kind in kinds]
    files += [
        encode("PNG", mode="P"),
        encode("PNG", mode="LA"),
        encode("JPEG", mode="CMYK"),
        encode("TIFF", mode="1"),
    ]
    return [*files, _deep("PNG", "uint16"), _deep("TIFF", "int32"), _deep("TIFF", "float32")]


_EXIF = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" + (
    b"\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00\x00\x26\x00\x00\x00\x00\x00\x01\x92\x86\x00\x07\x00\x00\x00\x04abcd"
)
_OTHERS = st.sampled_from(
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"qoif\x00\x00\x00\x04\x00\x00\x00\x04\x03\x00",
        b"%PDF-1.4",
        b"\x00\x00\x00\x18ftypisom",
        b"\x00\x00\x00\x18ftypheic",
        b"8BPS\x00\x01",
        b"<html>",
    ]
)
IMAGES = st.one_of([damaged(content) for content in _sound()]) | _OTHERS.flatmap(damaged)
WITH_EXIF = (
    damaged(_EXIF).filter(lambda block: len(block) < 60_000).map(lambda block: encode("JPEG", exif=block))
)


def _decode(folder: Path, content: bytes) -> None:
    image = decode_rgb(content, upright=True)
    assert image.mode == "RGB"
    pixels = decode_pixels(content, upright=True)
    assert Geometry(image_size=SIDE).transform_image(pixels).shape == (SIDE, SIDE, 3)


def _mask(folder: Path, content: bytes) -> None:
    assert decode_mask(content).mode == "L"


def _inspect(folder: Path, content: bytes) -> None:
    place = ByteRange("", 0, 0, 0)
    item = Item("a/b.jpg", 0, place, np.array([[0, 0, 5, 5]], np.float32), place, upright=True)
    for decode in (True, False):
        problem = Checks(decode=decode).inspect(item, content, content).problem
        assert problem is None or problem.splitlines() == [problem]


CASES = (
    Case("images", "decoding", IMAGES, _decode),
    Case("images", "EXIF", WITH_EXIF, _decode),
    Case("images", "masks", IMAGES, _mask),
    Case("images", "checks of prepare", IMAGES, _inspect),
)

"""Decoding against PIL's own conversions, and damaged files."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError, decode_rgb, open_image
from lctr_jax.data.train_transforms import draw_view


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (NOISE, "JPEG"),
        (NOISE.convert("RGB"), "JPEG"),
        (NOISE.convert("RGB").convert("CMYK"), "JPEG"),
        (NOISE.convert("RGB").quantize(16), "PNG"),
        (NOISE.convert("RGBA"), "PNG"),
        (NOISE.convert("RGB"), "WEBP"),
        (NOISE.convert("1"), "PNG"),
    ],
    ids=["gray", "rgb", "cmyk", "palette", "alpha", "webp", "bilevel"],
)
def test_every_mode_comes_out_as_pil_rgb(image, kind):
    encoded = encode(image, kind)
    decoded = decode_rgb(encoded)
    assert (decoded.mode, decoded.size) == ("RGB", (40, 30))
    np.testing.assert_array_equal(
        np.asarray(decoded), np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    )


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees to view"
    plain, rotated = encode(NOISE, "JPEG"), encode(NOISE, "JPEG", exif=exif)
    assert decode_rgb(rotated).size == (40, 30)
    np.testing.assert_array_equal(np.asarray(decode_rgb(rotated)), np.asarray(decode_rgb(plain)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated_bytes_are_corrupt(kind, share):
    encoded = encode(NOISE.convert("RGB"), kind)
    with pytest.raises(CorruptImageError, match="cannot decode"):
        decode_rgb(encoded[: int(share * len(encoded))])


def test_text_is_corrupt():
    with pytest.raises(CorruptImageError, match="cannot decode"):
        decode_rgb(b"<html>404 not found</html>" * 20)


def test_a_decompression_bomb_is_corrupt(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(CorruptImageError, match="exceeds limit"):
        decode_rgb(encode(NOISE, "PNG"))


def claims(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that says it is a picture of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size", [(10_001, 10_000), (13_000, 13_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_decompression_bomb_is_refused_by_its_header(size):
    with pytest.raises(CorruptImageError, match=r"cannot decode the image: .*pixels") as error:
        open_image(claims(*size))
    assert "\n" not in str(error.value)
    assert open_image(claims(10_000, 10_000)).size == (10_000, 10_000)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (20_000, 300), (2, 3000)])
@pytest.mark.parametrize("protocol", ["lctr", "wsoleval"])
def test_extreme_images_have_a_frame_and_a_view(size, protocol):
    image = decode_rgb(encode(Image.new("RGB", size, (9, 8, 7)), "PNG"))
    view = draw_view(image, Augmentation.published(), np.random.default_rng(0), image_size=224)
    assert view.shape == (224, 224, 3)
    geometry = Geometry(protocol=protocol, image_size=224)
    np.testing.assert_array_equal(geometry.transform_image(image), np.full((224, 224, 3), (9, 8, 7)))
    mask = Image.new("L", size, 1)
    np.testing.assert_array_equal(geometry.transform_mask(mask), np.ones((224, 224), np.uint8))

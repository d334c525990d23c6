"""Decoding against PIL's own conversions, and damaged files."""

import io

import numpy as np
import pytest
from PIL import Image

from lctr_jax.data.images import CorruptImageError, decode_rgb


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
    ids=["grey", "rgb", "cmyk", "palette", "alpha", "webp", "bilevel"],
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

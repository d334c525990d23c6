"""Decoding compared with PIL's own conversions, and damaged files."""

import io
import struct
import zlib

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageOps

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError, decode_pixels, decode_rgb, open_image
from lctr_jax.data.jpeg_header import read_jpeg_header
from lctr_jax.data.orientation import upright_size
from lctr_jax.data.train_transforms import augment_image


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


@pytest.mark.parametrize("upright", [False, True])
def test_pixels_are_those_of_the_image(upright):
    photograph = Image.fromarray(sklearn.datasets.load_sample_image("flower.jpg")).crop((0, 0, 201, 133))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = [{}, {"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"exif": turned}]
    for options in kinds:
        for mode in ("RGB", "L", "CMYK"):
            buffer = io.BytesIO()
            photograph.convert(mode).save(buffer, "JPEG", **options)
            whole = buffer.getvalue()
            for encoded in (whole, whole + bytes(7)):
                expected = np.asarray(decode_rgb(encoded, upright=upright))
                np.testing.assert_array_equal(decode_pixels(encoded, upright=upright), expected)
        with pytest.raises(CorruptImageError, match="truncated"):
            decode_pixels(whole[: len(whole) // 2], upright=upright)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": Image.Exif()}, {"comment": b"x"}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_header_of_a_jpeg_is_what_pil_reads(mode, options):
    if "exif" in options:
        options["exif"][0x0112] = 6
    encoded = encode(Image.new(mode, (31, 17)), "JPEG", **options)
    header = read_jpeg_header(encoded)
    assert header == (31, 17, len(mode), "exif" in options)
    for length in range(len(encoded)):
        assert read_jpeg_header(encoded[:length]) in (None, header)
    assert read_jpeg_header(encode(NOISE, "PNG")) is None


def test_text_is_corrupt():
    with pytest.raises(CorruptImageError, match="cannot decode"):
        decode_rgb(b"<html>404 not found</html>" * 20)


def test_a_decompression_bomb_is_corrupt(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(CorruptImageError, match="exceeds limit"):
        decode_rgb(encode(NOISE, "PNG"))


def header(width: int, height: int) -> bytes:
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
        open_image(header(*size))
    assert "\n" not in str(error.value)
    assert open_image(header(10_000, 10_000)).size == (10_000, 10_000)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (20_000, 300), (2, 3000)])
@pytest.mark.parametrize("protocol", ["lctr", "wsoleval"])
def test_extreme_images_have_a_frame_and_a_view(size, protocol):
    image = decode_pixels(encode(Image.new("RGB", size, (9, 8, 7)), "PNG"))
    augmented = augment_image(image, Augmentation(), np.random.default_rng(0), image_size=224)
    assert augmented.shape == (224, 224, 3)
    geometry = Geometry(protocol=protocol, image_size=224)
    np.testing.assert_array_equal(geometry.transform_image(image), np.full((224, 224, 3), (9, 8, 7)))
    mask = Image.new("L", size, 1)
    np.testing.assert_array_equal(geometry.transform_mask(mask), np.ones((224, 224), np.uint8))


def gray(values, kind, **options):
    return encode(Image.fromarray(np.asarray(values)), kind, **options)


RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_gray_is_scaled_and_not_cut_off(kind):
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    decoded = np.asarray(decode_rgb(gray(RAMP, kind, **options)))
    np.testing.assert_array_equal(decoded, np.repeat((RAMP >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 4095, 2048]], np.uint16), [0, 255, 128]),  # 12 bits in a 16-bit file
        (np.array([[0, 3, 255]], np.uint16), [0, 3, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[-10, 0, 10]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 64, 255]),
        (np.array([[-1e38, np.nan, 1e38, np.inf]], np.float32), [0, 0, 255, 255]),
        (np.array([[7.0, 7.0]], np.float32), [128, 128]),
        (np.array([[np.nan, np.inf]], np.float32), [0, 0]),
    ],
)
def test_deep_gray(values, expected):
    decoded = np.asarray(decode_rgb(gray(values, "TIFF")))
    np.testing.assert_array_equal(decoded[0, :, 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_equals_pils_own_turning(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(NOISE.convert("RGB"), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(np.asarray(decode_rgb(encoded, upright=True)), np.asarray(expected))
    assert upright_size(open_image(encoded)) == expected.size


def test_a_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = encode(NOISE, "TIFF", exif=exif)
    assert decode_rgb(encoded).size == decode_rgb(encoded, upright=True).size == (30, 40)


@pytest.mark.parametrize(
    "tag",
    [
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02\x00\x00\x00\x04abcd",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01\x12\x00\x0c\xff\xff\xff\xff" * 9,
    ],
)
def test_a_damaged_exif_tag_costs_no_picture(tag):
    encoded = encode(NOISE, "JPEG", exif=tag)
    np.testing.assert_array_equal(
        np.asarray(decode_rgb(encoded, upright=True)), np.asarray(decode_rgb(encoded))
    )


def test_formats_that_are_not_read_are_named_and_not_opened(monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_: pytest.fail("Ghostscript was started"))
    for content, message in {
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n": "its format is EPS",
        b"\x00\x00\x00\x18ftypisom" + bytes(50): "its format is video",
        b"\x89PNG\r\n\x1a\n" + bytes(50): "starts like PNG, but its header is damaged|cannot decode",
        b"qoif" + bytes(60): "its format is QOI; supported are JPEG, PNG",
    }.items():
        with pytest.raises(CorruptImageError, match=message):
            decode_rgb(content)


@pytest.mark.parametrize("error", [RuntimeError, IndexError, NotImplementedError, MemoryError, KeyError("x")])
def test_whatever_a_decoder_raises_is_a_corrupt_image(monkeypatch, error):
    def fail(self):
        raise error

    encoded = encode(NOISE, "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(CorruptImageError, match=r"cannot decode the image: \S+"):
        decode_rgb(encoded)

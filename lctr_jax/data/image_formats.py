"""Supported image formats by suffix and content, and messages for unsupported ones.

The formats are listed explicitly because PIL by default opens everything it supports; an EPS file named
`.png` would start Ghostscript.
"""

import functools

HEIC_HINT = "HEIC needs pillow-heif: pip install 'lctr_jax[heic]'"
HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
    }
    | {".avif", ".jp2"}
    | HEIC_SUFFIXES
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".mts", ".3gp"}
)
_PIL_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000")
_MAGIC = {  # first bytes of supported formats, and of others often found among photographs
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"BM": "BMP",
    b"P4": "PPM",
    b"P5": "PPM",
    b"P6": "PPM",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"%!PS": "EPS",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"8BPS": "PSD",
    b"qoif": "QOI",
    b"<svg": "SVG",
    b"\x1aE\xdf\xa3": "video",
    b"PK\x03\x04": "ZIP",
}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
READ = "JPEG, PNG, GIF, WebP, TIFF, BMP, PPM, AVIF, JPEG 2000 and, with pillow-heif, HEIC"
_NOT_READ = frozenset({"EPS", "PDF", "PSD", "QOI", "SVG", "video", "ZIP"})


@functools.cache
def pil_formats() -> tuple[str, ...]:
    """Return PIL's names of the formats supported in this environment."""
    return (*_PIL_FORMATS, "HEIF") if heic_is_read() else _PIL_FORMATS


@functools.cache
def heic_is_read() -> bool:
    """Return whether pillow-heif is installed, and register it with PIL."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def recognize_format(start: bytes) -> str | None:
    """Return the format of a file from its first 16 bytes, supported or not; None if unknown."""
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIC" if brand in _HEIC_BRANDS else "video"
    if start[:4] == b"RIFF":
        return "WebP" if start[8:12] == b"WEBP" else "video" if start[8:12] == b"AVI " else None
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def is_image(start: bytes) -> bool:
    """Return whether the first 16 bytes are of a supported format, including HEIC without pillow-heif."""
    return (kind := recognize_format(start)) is not None and kind not in _NOT_READ


def why_unknown(start: bytes) -> str:
    """Return why a file's bytes are not a supported image."""
    kind = recognize_format(start)
    if kind == "HEIC" and not heic_is_read():
        return HEIC_HINT
    if kind in _NOT_READ:
        return f"its format is {kind}; supported are {READ}"
    if kind is not None:
        return f"it starts like {kind}, but its header is damaged"
    return f"its format is none of {READ}"

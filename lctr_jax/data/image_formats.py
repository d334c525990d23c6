"""Which image formats are read, by suffix and by content, and how the others are named.

The list is ours: PIL left to guess opens anything that it knows, and an EPS file named `.png` starts
Ghostscript.
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
_MAGIC = {  # what files begin with: formats that are read, and some that people have among photographs
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
    """PIL's names of the formats that are read in this environment."""
    return (*_PIL_FORMATS, "HEIF") if heic_is_read() else _PIL_FORMATS


@functools.cache
def heic_is_read() -> bool:
    """Tell whether pillow-heif is installed; it is registered with PIL on the way."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def recognize_format(start: bytes) -> str | None:
    """Name a file's format by its first 16 bytes, among those that are read and a few that are not."""
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIC" if brand in _HEIC_BRANDS else "video"
    if start[:4] == b"RIFF":
        return "WebP" if start[8:12] == b"WEBP" else "video" if start[8:12] == b"AVI " else None
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def is_image(start: bytes) -> bool:
    """Tell an image of a format that is read, HEIC without pillow-heif included, by its first 16 bytes."""
    return (kind := recognize_format(start)) is not None and kind not in _NOT_READ


def why_unknown(start: bytes) -> str:
    """Say why the bytes of a file are no image that is read."""
    kind = recognize_format(start)
    if kind == "HEIC" and not heic_is_read():
        return HEIC_HINT
    if kind in _NOT_READ:
        return f"it is of the format {kind}; read are {READ}"
    if kind is not None:
        return f"it begins as {kind}, but its header is damaged"
    return f"it is in none of the formats {READ}"

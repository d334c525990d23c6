"""Size and components of a JPEG from its markers (ITU-T T.81, annex B), faster than PIL opens it."""

from typing import NamedTuple

_START = b"\xff\xd8"
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive
_APP1 = 0xE1  # EXIF or XMP


class JpegHeader(NamedTuple):
    """Size in pixels, number of color components, and whether EXIF or XMP data may tell a rotation."""

    width: int
    height: int
    components: int
    may_be_rotated: bool


def read_jpeg_header(encoded: bytes) -> JpegHeader | None:
    """Read the markers up to the frame's; None if they are not those of a JPEG with 8 bits per color."""
    place, may_be_rotated = 2, False
    if not encoded.startswith(_START):
        return None
    while len(encoded) >= place + 10 and encoded[place] == 0xFF:
        marker, segment = encoded[place + 1], encoded[place + 2 : place + 10]
        if marker in _FRAMES:
            bits, components = segment[2], segment[7]
            height, width = int.from_bytes(segment[3:5]), int.from_bytes(segment[5:7])
            return JpegHeader(width, height, components, may_be_rotated) if bits == 8 else None
        may_be_rotated |= marker == _APP1
        place += 2 + int.from_bytes(segment[:2])
    return None

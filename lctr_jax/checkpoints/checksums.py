"""Checksums of a checkpoint's files. Orbax detects missing files, but not changed bytes of an array."""

import json
import zlib
from pathlib import Path

from lctr_jax.json_objects import read_object

CHECKSUMS = "checksums.json"
_CHUNK = 1 << 22


def write_checksums(folder: Path) -> None:
    """Write size and CRC-32 of every file of a checkpoint's items into the checkpoint's folder."""
    sums = {str(file.relative_to(folder)): _checksum(file) for file in _files(folder)}
    (folder / CHECKSUMS).write_text(json.dumps(sums))


def find_damage(folder: Path) -> str | None:
    """Describe the first damaged file of a checkpoint; return None if there is none.

    Reads every byte once.
    """
    try:
        recorded = read_object(folder / CHECKSUMS)
    except FileNotFoundError:
        return f"{CHECKSUMS} is missing, so its files cannot be verified"
    except (OSError, ValueError) as error:
        return f"{CHECKSUMS} cannot be read: {error}"
    if not recorded:
        return f"{CHECKSUMS} lists no files"
    for name, expected in recorded.items():
        try:
            if _checksum(folder / name) != expected:
                return f"{name} has changed since it was written"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
    return None


def _files(folder: Path) -> list[Path]:
    """List the files of the items only; Orbax changes its own files when it commits a checkpoint."""
    return sorted(
        file for item in folder.iterdir() if item.is_dir() for file in item.rglob("*") if file.is_file()
    )


def _checksum(file: Path) -> list[int]:
    size, crc = 0, 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return [size, crc]

"""Find the images below a folder, and record why other files are ignored."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from lctr_jax.data import image_formats
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.foreign_files import is_foreign


def subfolders(folder: Path, ignored: Ignored) -> list[Path]:
    """Return the subfolders of a folder by name, without system folders.

    Raises:
        OSError: the folder cannot be listed.
    """
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and is_foreign(entry.name):
            ignored.add("hidden or system folders", entry)
        elif entry.is_dir():
            found.append(entry)
    return found


def scan_folder(
    folder: Path, root: Path, ignored: Ignored, *, skipped: Collection[Path] = frozenset()
) -> list[Path]:
    """Return the images below a folder, in order, without the files and folders in `skipped`.

    Links to folders are followed once, except into `root`, whose folders are read in their own place; this
    also ends cycles of links.

    Raises:
        OSError: a folder cannot be listed.
        ValueError: a name is not UTF-8.
    """
    return list(_walk(folder, os.path.realpath(root), {os.path.realpath(folder)}, ignored, skipped))


def _walk(
    folder: Path, root: str, seen: set[str], ignored: Ignored, skipped: Collection[Path]
) -> Iterator[Path]:
    waiting = [folder]  # not recursive, because folders may be nested deeper than Python's stack
    while waiting:
        inner = []
        for path in sorted(waiting.pop().iterdir()):
            if path in skipped:
                continue
            if path.is_dir():
                if reason := _why_not_entered(path, root, seen):
                    ignored.add(reason, path)
                else:
                    inner.append(path)
            elif reason := _why_not_read(path):
                ignored.add(reason, path)
            else:
                yield path
        waiting += reversed(inner)


def _why_not_entered(path: Path, root: str, seen: set[str]) -> str | None:
    if is_foreign(path.name):
        return "hidden or system folders"
    real = os.path.realpath(path)
    if path.is_symlink() and (real == root or real.startswith(root + os.sep)):
        return "links to folders that are read in their own place"
    if real in seen or (path.is_symlink() and root.startswith(real + os.sep)):
        return "links to folders that are read already"
    seen.add(real)
    return None


def _why_not_read(path: Path) -> str | None:
    """Return why a file is ignored; None for an image that can be read."""
    suffix = path.suffix.lower()
    if is_foreign(path.name):
        return "hidden or system files"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "pipes, sockets or devices"
    except OSError:
        return "broken links"
    if suffix in image_formats.HEIC_SUFFIXES and not image_formats.heic_is_read():
        return f"{suffix} images, which need pillow-heif (pip install 'lctr_jax[heic]')"
    if suffix in image_formats.IMAGE_SUFFIXES:
        _require_utf8(path)
        return None
    if suffix in image_formats.VIDEO_SUFFIXES:
        return f"{suffix} videos"
    if suffix:
        return f"{suffix[:20]} files"
    with path.open("rb") as file:
        start = file.read(16)
    if image_formats.is_image(start):
        _require_utf8(path)
        return None
    return "files without a suffix that are not images"


def _require_utf8(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"data.root: the name of {str(path)!a} is not UTF-8; rename the file") from None

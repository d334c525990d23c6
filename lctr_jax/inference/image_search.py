"""Find the images that files and folders name, one at a time: a folder may hold a million."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lctr_jax.data.image_formats import IMAGE_SUFFIXES

_Identity = tuple[int, int]  # of a folder on disk, whatever links lead to it


def find_images(arguments: Sequence[Path], *, out: Path) -> Iterator[Path]:
    """The images, folders searched to the bottom in order of names, each once.

    Links are followed, and every folder is read once, so that links to folders above end. What lies in `out`,
    perhaps from an earlier run, is not looked for. `count_images` checks the arguments.
    """
    files = {os.path.abspath(argument) for argument in arguments if not argument.is_dir()}
    seen, given = {_identity(out)}, set()
    for argument in arguments:
        if argument.is_dir():
            yield from (path for path in _in_folder(argument, seen) if os.path.abspath(path) not in files)
        elif (name := os.path.abspath(argument)) not in given:
            given.add(name)
            yield argument


def count_images(arguments: Sequence[Path], *, out: Path) -> int:
    """How many images `find_images` gives.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder has no images, or is `out` itself.
    """
    for argument in arguments:
        if not argument.exists():
            raise FileNotFoundError(f"{argument}: no such image or folder")
        if argument.is_dir() and _identity(argument) == _identity(out):
            raise ValueError(f"--out: {out} is a folder of images to be read; choose another one")
        if argument.is_dir() and next(_in_folder(argument, {_identity(out)}), None) is None:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f"{argument}: no images in this folder; expected files ending in {known}")
    return sum(1 for _ in find_images(arguments, out=out))


def relative_name(path: Path, arguments: Sequence[Path]) -> str:
    """The image's path relative to the folder around all arguments, with forward slashes."""
    folders = [os.path.abspath(argument if argument.is_dir() else argument.parent) for argument in arguments]
    return Path(os.path.relpath(os.path.abspath(path), os.path.commonpath(folders))).as_posix()


def _in_folder(folder: Path, seen: set[_Identity | None]) -> Iterator[Path]:
    if (identity := _identity(folder)) in seen:
        return
    seen.add(identity)
    for name in sorted(os.listdir(folder)):  # names alone: a path object each would be ten times the memory
        if name.startswith("."):
            continue
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _in_folder(Path(path), seen)
        elif os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and os.path.isfile(path):
            yield Path(path)


def _identity(folder: Path) -> _Identity | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino

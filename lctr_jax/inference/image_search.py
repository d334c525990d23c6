"""Search files and folders for images, one at a time, since a folder may contain a million."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lctr_jax.data.image_formats import IMAGE_SUFFIXES

_Identity = tuple[int, int]  # of a folder on disk, independent of links


def find_images(
    arguments: Sequence[Path], *, out: Path | None = None, suffixes: frozenset[str] = IMAGE_SUFFIXES
) -> Iterator[Path]:
    """Yield the images, with folders searched recursively in order of names, each image once.

    Links are followed, and every folder is read once, which ends cycles of links. The folder `out`, perhaps
    of an earlier run, is not searched. Files in folders are found by their suffix, one of `suffixes`.
    `check_arguments` checks the arguments.
    """
    files = {os.path.abspath(argument) for argument in arguments if not argument.is_dir()}
    seen, given = _identities(out), set()
    for argument in arguments:
        if argument.is_dir():
            yield from (
                path for path in _in_folder(argument, seen, suffixes) if os.path.abspath(path) not in files
            )
        elif (name := os.path.abspath(argument)) not in given:
            given.add(name)
            yield argument


def count_images(arguments: Sequence[Path], *, out: Path) -> int:
    """Count the images that `find_images` yields.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder has no images, or is `out` itself.
    """
    check_arguments(arguments, out=out)
    return sum(1 for _ in find_images(arguments, out=out))


def check_arguments(
    arguments: Sequence[Path], *, out: Path | None = None, suffixes: frozenset[str] = IMAGE_SUFFIXES
) -> None:
    """Check that `find_images` finds something in every argument.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder has no images, or is `out` itself.
    """
    for argument in arguments:
        if not argument.exists():
            raise FileNotFoundError(f"{argument}: no such image or folder")
        if argument.is_dir() and _identity(argument) in _identities(out):
            raise ValueError(f"--out: {out} is one of the image folders to read; choose another folder")
        if argument.is_dir() and next(_in_folder(argument, _identities(out), suffixes), None) is None:
            known = ", ".join(sorted(suffixes))
            raise ValueError(f"{argument}: no images in this folder; expected files ending in {known}")


def common_folder(arguments: Sequence[Path]) -> str:
    """Return the folder that contains all arguments."""
    folders = [os.path.abspath(argument if argument.is_dir() else argument.parent) for argument in arguments]
    return os.path.commonpath(folders)


def relative_name(path: Path, folder: str) -> str:
    """Return the image's path relative to the folder, with forward slashes."""
    return Path(os.path.relpath(os.path.abspath(path), folder)).as_posix()


def _in_folder(folder: Path, seen: set[_Identity | None], suffixes: frozenset[str]) -> Iterator[Path]:
    if (identity := _identity(folder)) in seen:
        return
    seen.add(identity)
    for name in sorted(os.listdir(folder)):  # names only: path objects need ten times the memory
        if name.startswith("."):
            continue
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _in_folder(Path(path), seen, suffixes)
        elif os.path.splitext(name)[1].lower() in suffixes and os.path.isfile(path):
            yield Path(path)


def _identities(folder: Path | None) -> set[_Identity | None]:
    return set() if folder is None else {_identity(folder)}


def _identity(folder: Path) -> _Identity | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino

"""Paths that a user gives: `~` is their home, and a destination has to be writable before the work begins."""

import argparse
import os
from pathlib import Path


def expand(text: str | os.PathLike[str]) -> Path:
    """The path with `~` and `~user` replaced.

    Raises:
        ValueError: the home folder is not known.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no HOME and no entry for this user
        raise ValueError(
            f"{text}: the home folder that ~ stands for is not known; give the whole path, or set HOME"
        ) from error


def expand_text(text: str) -> str:
    """The same for options that are text: what does not begin with `~` stays as it is."""
    return str(expand(text)) if text.startswith("~") else text


def path_argument(text: str) -> Path:
    """`expand` as the `type` of an argument of `argparse`."""
    try:
        return expand(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def text_argument(text: str) -> str:
    """`expand_text` as the `type` of an argument of `argparse`, for paths that may be an address instead."""
    try:
        return expand_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def require_file_destination(path: Path) -> None:
    """Refuse a file to be written that cannot be, before anything is computed for it.

    Raises:
        FileNotFoundError: its folder does not exist.
        OSError: the path is a folder, or its folder is none or cannot be written to.
    """
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file to write")
    if not folder.exists():
        raise FileNotFoundError(f"{path}: there is no folder {folder}; make it first: mkdir -p '{folder}'")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path}: {folder} is a file, expected a folder")
    _require_writable(path, folder)


def require_folder_destination(path: Path) -> None:
    """Refuse a folder to be made or filled that cannot be, before anything is computed for it.

    Raises:
        OSError: the path, or a folder above it, is a file or cannot be written to.
    """
    existing = next(parent for parent in (path, *path.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise NotADirectoryError(f"{path}: {existing} is no folder; choose another place")
    _require_writable(path, existing)


def _require_writable(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: {folder} cannot be written to; choose another place")

"""Paths given by the user: expanding `~`, and checking destinations before the work starts."""

import argparse
import os
from pathlib import Path


def expand(text: str | os.PathLike[str]) -> Path:
    """Expand `~` and `~user`.

    Raises:
        ValueError: the home folder is unknown.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no HOME and no entry for this user
        raise ValueError(
            f"{text}: the home folder for ~ is unknown; give the full path, or set HOME"
        ) from error


def expand_text(text: str) -> str:
    """Expand `~` in a text option; text that does not start with `~` is unchanged."""
    return str(expand(text)) if text.startswith("~") else text


def path_argument(text: str) -> Path:
    """Apply `expand` as the `type` of an `argparse` argument."""
    try:
        return expand(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def text_argument(text: str) -> str:
    """Apply `expand_text` as the `type` of an `argparse` argument, for paths that may also be addresses."""
    try:
        return expand_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def require_file_destination(path: Path) -> None:
    """Check that a file can be written, before anything is computed for it.

    Raises:
        FileNotFoundError: its folder does not exist.
        OSError: the path is a folder, or its folder is not a folder or not writable.
    """
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file to write")
    if not folder.exists():
        raise FileNotFoundError(f"{path}: folder {folder} does not exist; create it: mkdir -p '{folder}'")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path}: {folder} is a file, expected a folder")
    _require_writable(path, folder)


def require_folder_destination(path: Path) -> None:
    """Check that a folder can be created or filled, before anything is computed for it.

    Raises:
        OSError: the path, or a folder above it, is a file or not writable.
    """
    existing = next(parent for parent in (path, *path.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise NotADirectoryError(f"{path}: {existing} is not a folder; choose another path")
    _require_writable(path, existing)


def _require_writable(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: {folder} is not writable; choose another path")

"""The layout of an image folder: `ROOT/train/CLASS` and `ROOT/val/CLASS`, or only `ROOT/CLASS`."""

import dataclasses
from pathlib import Path

from lctr_jax.data import image_formats
from lctr_jax.data.folder import scan
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.foreign_files import is_foreign
from lctr_jax.data.notes import examples

SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
BESIDE = ("list", "masks")  # folders next to the splits with a special meaning


@dataclasses.dataclass(frozen=True)
class FolderLayout:
    """The folder of each split, and of each of its classes.

    Attributes:
        splits: folder of each split.
        classes: class folders of each split.
        flat: there are only class folders, and all of them are `train`.
    """

    splits: dict[str, Path]
    classes: dict[str, list[Path]]
    flat: bool


def canonical(split: str) -> str:
    """Return the canonical name of a split for any of its spellings."""
    return next((name for name, spellings in SPELLINGS.items() if split.lower() in spellings), split)


def find_layout(root: Path, ignored: Ignored) -> FolderLayout:
    """Find the splits and class folders, and record ignored files and folders next to them.

    Raises:
        FileNotFoundError: there is no such folder, or it has neither `train` nor class folders.
        ValueError: a split has two folders or no class folders.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data.root: no such folder: {root}")
    folders = scan.subfolders(root, ignored)
    splits = find_splits(root, folders)
    taken = [*splits.values(), *(root / name for name in BESIDE if not _has_image(root / name))]
    others = [folder for folder in folders if folder not in taken]
    if _are_classes(others, splits):
        return _flat(root, [*others, *splits.values()], ignored)
    if "train" not in splits:
        raise FileNotFoundError(
            f"data.root: expected {root / 'train'} with one folder of images per class, or only class "
            f"folders in {root}, or a table such as metadata.csv that lists images and classes; got "
            f"{examples((f.name for f in folders), count=5) or 'no folders'}"
        )
    for folder in others:
        ignored.add("folders next to the splits", folder)
    classes = {split: _classes(folder, ignored) for split, folder in splits.items()}
    _note_files(root, ignored, every=False)
    return FolderLayout(splits, classes, flat=False)


def has_class_folders(root: Path) -> bool:
    """Return whether the images are in several folders that may be classes."""
    try:
        return len(find_layout(root, Ignored(root)).classes["train"]) > 1
    except (FileNotFoundError, ValueError):
        return False


def find_splits(root: Path, folders: list[Path]) -> dict[str, Path]:
    """Return the folders that are named like a split.

    Raises:
        ValueError: a split has two.
    """
    splits = {}
    for name, spellings in SPELLINGS.items():
        found = [folder for folder in folders if folder.name.lower() in spellings]
        if len(found) > 1:
            names = " and ".join(folder.name for folder in found)
            raise ValueError(f"data.root: {root} has {names}, two folders for the split {name}; keep one")
        if found:
            splits[name] = found[0]
    return splits


def _are_classes(others: list[Path], splits: dict[str, Path]) -> bool:
    """Return whether there are only class folders; a folder `train` without subfolders is then a class."""
    scratch = [Ignored(folder) for folder in splits.values()]
    if any(scan.subfolders(folder, note) for folder, note in zip(splits.values(), scratch, strict=True)):
        return False
    if splits and not any(_has_image(folder) for folder in splits.values()):
        return False
    return any(_has_image(folder) or _nested(folder) for folder in others)


def _flat(root: Path, folders: list[Path], ignored: Ignored) -> FolderLayout:
    classes = []
    for folder in sorted(folders):
        if _has_image(folder) or _nested(folder):
            classes.append(folder)
        else:
            ignored.add("folders without images", folder)
    if len(classes) == 1 and not _has_image(classes[0]):
        raise ValueError(
            f"data.root: {root} has one class folder, {classes[0].name}, whose images are in "
            f"{examples(sorted(_nested(classes[0])))}; did you mean {classes[0]}?"
        )
    _note_files(root, ignored, every=True)
    return FolderLayout({"train": root}, {"train": classes}, flat=True)


def _classes(folder: Path, ignored: Ignored) -> list[Path]:
    classes = scan.subfolders(folder, ignored)
    if not classes:
        raise ValueError(f"data.root: {folder} has no class folders; expected one folder of images per class")
    _note_files(folder, ignored, every=True)
    return classes


def _has_image(folder: Path) -> bool:
    return folder.is_dir() and any(_is_image(path) and path.is_file() for path in folder.iterdir())


def _nested(folder: Path) -> list[str]:
    """Return the names of subfolders that contain images."""
    inner = scan.subfolders(folder, Ignored(folder))
    return [path.name for path in inner if _has_image(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in image_formats.IMAGE_SUFFIXES and not is_foreign(path.name)


def _note_files(folder: Path, ignored: Ignored, *, every: bool) -> None:
    """Record images next to the class folders, and all other files if `every`."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() or is_foreign(path.name):
            continue
        if _is_image(path):
            ignored.add("images next to the class folders", path)
        elif path.suffix.lower() in image_formats.VIDEO_SUFFIXES:
            ignored.add("videos next to the class folders", path)
        elif every and path.name not in ("classes.txt", "words.txt"):
            ignored.add("other files next to the class folders", path)

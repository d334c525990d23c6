"""The published files of Tiny ImageNet (Stanford CS231N): location and formats."""

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from lctr_jax.data import records
from lctr_jax.data.box_entry import shorten, to_coordinates

HOW_TO_GET = "download http://cs231n.stanford.edu/tiny-imagenet-200.zip (248 MB) to DIR"
NUM_IMAGES = {"train": 100_000, "val": 10_000}
_ARCHIVE = "tiny-imagenet-200.zip"


def find_release(source: Path) -> Path:
    """Return the folder with `wnids.txt`, or the archive, given either or a folder that contains one.

    Raises:
        FileNotFoundError: neither exists.
    """
    for folder in (source, source / "tiny-imagenet-200"):
        if (folder / "wnids.txt").exists():
            return folder
    for archive in (source, source / _ARCHIVE):
        if archive.is_file():
            return archive
    raise FileNotFoundError(f"tiny_imagenet: {source} is not {_ARCHIVE} and has no wnids.txt")


def read_manifest(files: Mapping[str, records.ByteRange]) -> records.Manifest:
    """List `train` and `val` from a release's files, with classes in the order of `wnids.txt`.

    The test split has neither labels nor boxes and is left out.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a list cannot be read, or an image is in no list.
    """
    found = [key for key in files if PurePosixPath(key).name == "wnids.txt"]
    if not found:
        raise FileNotFoundError(f"tiny_imagenet: no wnids.txt in the release; expected {_ARCHIVE}")
    release = _Release(files, min(found, key=len).removesuffix("wnids.txt"))
    wnids = [wnid for _, (wnid,) in release.read_table("wnids.txt", columns=1)]
    train = [item for label, wnid in enumerate(wnids) for item in _read_class(release, wnid, label)]
    splits = {"train": records.stratify(train), "val": _read_val(release, wnids)}
    return records.Manifest(_class_names(release, wnids), splits)


@dataclasses.dataclass(frozen=True)
class _Release:
    """A release's files by path, and the path of its root, "" or with a slash at its end."""

    files: Mapping[str, records.ByteRange]
    root: str

    def read_table(
        self, path: str, *, columns: int, separator: str | None = None
    ) -> list[tuple[str, list[str]]]:
        """Return (place, words) of every line that is not empty.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a text file, or a line has another number of columns.
        """
        if (place := self.files.get(self.root + path)) is None:
            raise FileNotFoundError(f"tiny_imagenet: {path} is missing next to wnids.txt")
        try:
            lines = place.read().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"tiny_imagenet: {path} is not a text file: {error}") from error
        table = [
            (f"{path}:{number}", line.split(separator))
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
        for where, words in table:
            if len(words) != columns:
                got = shorten(" ".join(words))
                raise ValueError(f"tiny_imagenet: {where}: expected {columns} columns, got {got!r}")
        return table

    @functools.cached_property
    def images(self) -> dict[str, dict[str, records.ByteRange]]:
        """Return the files by folder, relative to the root, and name."""
        folders: dict[str, dict[str, records.ByteRange]] = defaultdict(dict)
        for path, place in self.files.items():
            folder, _, name = path.removeprefix(self.root).rpartition("/")
            folders[folder][name] = place
        return folders


def _read_class(release: _Release, wnid: str, label: int) -> list[records.Item]:
    """Return the training items of one class, from lines `name x0 y0 x1 y1`."""
    table = release.read_table(f"train/{wnid}/{wnid}_boxes.txt", columns=5)
    listed = {name: (f"{wnid}/{name}", label, _box(box, where)) for where, (name, *box) in table}
    return _items(f"train/{wnid}/images", release, listed)


def _read_val(release: _Release, wnids: list[str]) -> list[records.Item]:
    """Return the items of `val_annotations.txt`, from lines `name wnid x0 y0 x1 y1`."""
    labels, listed = {wnid: label for label, wnid in enumerate(wnids)}, {}
    for where, (name, wnid, *box) in release.read_table("val/val_annotations.txt", columns=6):
        if wnid not in labels:
            raise ValueError(f"tiny_imagenet: {where}: class {shorten(wnid)!r} is not in wnids.txt")
        listed[name] = (name, labels[wnid], _box(box, where))
    return _items("val/images", release, listed)


def _items(
    folder: str, release: _Release, listed: Mapping[str, tuple[str, int, Float32[np.ndarray, "1 4"]]]
) -> list[records.Item]:
    """Return the listed images that are in the folder.

    Raises:
        ValueError: an image of the folder is not listed.
    """
    images = release.images.get(folder, {})
    if unlisted := images.keys() - listed.keys():
        raise ValueError(
            f"tiny_imagenet: {folder}: {len(unlisted):,} images have no line in the list of boxes, such as "
            f"{min(unlisted)}"
        )
    return [
        records.Item(key, label, images[name], box)
        for name, (key, label, box) in listed.items()
        if name in images
    ]


def _box(words: list[str], where: str) -> Float32[np.ndarray, "1 4"]:
    """Return a box with its ends as listed: the last column and row of pixels, at most 63."""
    return np.array([to_coordinates(words, f"tiny_imagenet: {where}")], np.float32)


def _class_names(release: _Release, wnids: list[str]) -> list[str]:
    """Return the first name of each class in `words.txt`, with the wnid where classes share it."""
    table = release.read_table("words.txt", columns=2, separator="\t")
    first = {wnid: names.split(",")[0].strip() for _, (wnid, names) in table}
    if missing := [wnid for wnid in wnids if wnid not in first]:
        raise ValueError(f"tiny_imagenet: words.txt has no name of {missing[0]}, which is in wnids.txt")
    shared = Counter(first[wnid] for wnid in wnids)
    return [first[wnid] if shared[first[wnid]] == 1 else f"{first[wnid]} ({wnid})" for wnid in wnids]

"""The TFDS builder of `tiny_imagenet`: Tiny ImageNet (Stanford CS231N)."""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32

from lctr_jax.data import records
from lctr_jax.data.box_entry import shorten, to_coordinates
from lctr_jax.data.release_builder import ReleaseBuilder, ReleaseFiles

HOW_TO_GET = "download http://cs231n.stanford.edu/tiny-imagenet-200.zip (248 MB) into a folder DIR"
_VAL_LIST = "val_annotations.txt"
_UNLABELED = "test_"  # prefix of the test images' names

Listed = dict[str, tuple[str, Float32[np.ndarray, "1 4"]]]
"""The wnid and the box of every listed image, by file name."""


class TinyImagenet(ReleaseBuilder):
    """Tiny ImageNet: 200 classes of ImageNet; a labeled image has one box.

    `wnids.txt` has the classes in label order and `words.txt` their names. `WNID_boxes.txt` of each class has
    lines `IMAGE x0 y0 x1 y1`, and `val_annotations.txt` lines `IMAGE WNID x0 y0 x1 y1`; x1 and y1 are the
    last column and row of pixels, at most 63. The test images have neither labels nor boxes and are left out.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVES = ("tiny-imagenet-200.zip",)
    NUM_IMAGES: ClassVar = {"train": 100_000, "val": 10_000}

    def _read_release(self, files: ReleaseFiles) -> records.Manifest:
        wnids = [wnid for _, (wnid,) in _read_table(files, "wnids.txt", columns=1)]
        train: Listed = {
            name: (wnid, _box(box, where))
            for wnid in wnids
            for where, (name, *box) in _read_table(files, f"{wnid}_boxes.txt", columns=5)
        }
        val: Listed = {}
        for where, (name, wnid, *box) in _read_table(files, _VAL_LIST, columns=6):
            if wnid not in wnids:
                raise ValueError(f"{where}: class {shorten(wnid)!r} is not in wnids.txt")
            val[name] = (wnid, _box(box, where))
        _check_all_listed(files, {*train, *val})
        labels = {wnid: label for label, wnid in enumerate(wnids)}
        splits = {
            "train": _items(files, train, labels, folders=True),
            "val": _items(files, val, labels, folders=False),
        }
        return records.Manifest(_class_names(files, wnids), splits)


def _read_table(
    files: ReleaseFiles, name: str, *, columns: int, separator: str | None = None
) -> list[tuple[str, list[str]]]:
    """Return (place, words) of every line that is not empty."""
    try:
        lines = files[name].read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not a text file: {error}") from error
    table = [
        (f"{name}:{number}", line.split(separator)) for number, line in enumerate(lines, 1) if line.strip()
    ]
    for where, words in table:
        if len(words) != columns:
            raise ValueError(f"{where}: expected {columns} columns, got {shorten(' '.join(words))!r}")
    return table


def _box(words: list[str], where: str) -> Float32[np.ndarray, "1 4"]:
    return np.array([to_coordinates(words, where)], np.float32)


def _check_all_listed(files: ReleaseFiles, listed: set[str]) -> None:
    """Check that every labeled image has a line in a list."""
    images = {name.removeprefix("images/") for name in files if name.startswith("images/")}
    unlisted = {name for name in images - listed if not name.startswith(_UNLABELED)}
    if unlisted:
        raise ValueError(
            f"{len(unlisted):,} images have no line in the lists of boxes, such as {min(unlisted)}"
        )


def _items(
    files: ReleaseFiles, listed: Listed, labels: Mapping[str, int], *, folders: bool
) -> list[records.Item]:
    """Return the listed images that are there; `prepare` counts them and asks for --partial."""
    return [
        records.Item(f"{wnid}/{name}" if folders else name, labels[wnid], files[f"images/{name}"], box)
        for name, (wnid, box) in listed.items()
        if f"images/{name}" in files
    ]


def _class_names(files: ReleaseFiles, wnids: list[str]) -> list[str]:
    """Return the first name of each class in `words.txt`, with the wnid where classes share it."""
    table = _read_table(files, "words.txt", columns=2, separator="\t")
    first = {wnid: names.split(",")[0].strip() for _, (wnid, names) in table}
    if missing := [wnid for wnid in wnids if wnid not in first]:
        raise ValueError(f"words.txt has no name of {missing[0]}, which is in wnids.txt")
    shared = Counter(first[wnid] for wnid in wnids)
    return [first[wnid] if shared[first[wnid]] == 1 else f"{first[wnid]} ({wnid})" for wnid in wnids]

"""Match the annotations of a box list with images whose names are spelled differently.

Names are first compared as they are, then ignoring case, Unicode form (NFC or NFD), path separators, and
parent folders that only one of them has. A name without an image suffix matches a file with that stem.
"""

import collections
import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from lctr_jax.data.box_lists import Annotation
from lctr_jax.data.image_formats import IMAGE_SUFFIXES
from lctr_jax.data.notes import examples

Parts = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Matches:
    """The annotation and the listed name of each matched image, and the list's names that match no image."""

    by_image: dict[str, Annotation]
    unmatched: list[str]
    names: dict[str, str]


def match(
    annotations: Mapping[str, Annotation],
    image_ids: Sequence[str],
    *,
    split: Sequence[str] = (),
    other_splits: Iterable[str] = (),
) -> Matches:
    """Match a list with the images of a split, whose ids are `class/file`.

    Args:
        annotations: the list.
        image_ids: the images.
        split: names of the split's folder; any of them may precede an id in the list.
        other_splits: the same for the other splits, whose images are different ones.

    Raises:
        ValueError: a name in the list matches several images, or several names match one image.
    """
    index = _Index(image_ids, split=split, other_splits=other_splits)
    root = _common_folder(annotations)
    found: dict[str, str] = {}
    unmatched = []
    for key, annotation in annotations.items():
        found_images = [index.find(spelling) for spelling in (key, *annotation.spellings)]
        images = min(filter(None, found_images), key=lambda images: len(images) > 1, default=[])
        if not images and root and _folders(key) == root and not index.has_folder(root[-1]):
            images = index.find(PurePosixPath(key).name)
        if len(images) > 1:
            raise ValueError(
                f"{key!r} matches {len(images)} images, {examples(images)}; add their folders to the names"
            )
        if not images:
            unmatched.append(key)
            continue
        if (other := found.setdefault(images[0], key)) != key:
            raise ValueError(f"{other!r} and {key!r} both match the image {images[0]}; keep one of them")
    return Matches({image: annotations[key] for image, key in found.items()}, unmatched, found)


class _Index:
    """Images by the names that lists use for them."""

    def __init__(self, image_ids: Sequence[str], *, split: Sequence[str], other_splits: Iterable[str]):
        self._exact = set(image_ids)
        self._split = [name for name in split]
        self._others = {_plain(name) for name in other_splits} - {_plain(name) for name in split}
        self._by_name: dict[str, list[str]] = collections.defaultdict(list)
        self._by_stem: dict[str, list[str]] = collections.defaultdict(list)
        self._folders = {image: _folders(image) for image in image_ids}
        self._all_folders = {folder for folders in self._folders.values() for folder in folders}
        for image in image_ids:
            name = _plain(PurePosixPath(image).name)
            self._by_name[name].append(image)
            self._by_stem[name.removesuffix(PurePosixPath(name).suffix)].append(image)

    def find(self, spelling: str) -> list[str]:
        """Return the images that a name may refer to; more than one is ambiguous."""
        for prefix in ("", *(f"{name}/" for name in self._split)):
            if spelling.startswith(prefix) and (image := spelling.removeprefix(prefix)) in self._exact:
                return [image]
        name, folders = _plain(PurePosixPath(spelling.replace("\\", "/")).name), _folders(spelling)
        candidates = self._by_name.get(name, [])
        if not candidates and PurePosixPath(name).suffix not in IMAGE_SUFFIXES:
            candidates = self._by_stem.get(name, [])
        return [image for image in candidates if self._agree(folders, self._folders[image])]

    def has_folder(self, name: str) -> bool:
        """Return whether an image is in a folder of that name."""
        return name in self._all_folders

    def _agree(self, listed: Parts, folders: Parts) -> bool:
        """Return whether the shorter of two folder paths ends the longer one, within the same split."""
        if len(listed) <= len(folders):
            return folders[len(folders) - len(listed) :] == listed
        above = listed[: len(listed) - len(folders)]
        return listed[len(above) :] == folders and above[-1] not in self._others


def _folders(path: str) -> Parts:
    parts = PurePosixPath(path.replace("\\", "/")).parts[:-1]
    return tuple(_plain(part) for part in parts if part not in (".", "/"))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _common_folder(annotations: Iterable[str]) -> Parts:
    """Return the folder that all names of a list share, if there is exactly one: a root, not a class."""
    folders = {_folders(key) for key in annotations}
    return folders.pop() if len(folders) == 1 else ()

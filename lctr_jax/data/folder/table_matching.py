"""Match the rows of a table of classes with the images of a folder."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lctr_jax.data import box_matching
from lctr_jax.data.box_lists import Annotation
from lctr_jax.data.folder.annotation_files import SplitBoxes
from lctr_jax.data.folder.label_tables import LabelTable
from lctr_jax.data.folder.labeled_images import LabeledImage
from lctr_jax.data.folder.layout import SPELLINGS
from lctr_jax.data.notes import examples, some


@dataclasses.dataclass(frozen=True)
class PlacedTable:
    """A table, the split of all its images, if known, and the folder that their ids are relative to."""

    table: LabelTable
    split: str | None
    folder: Path


@dataclasses.dataclass
class ListedImages:
    """The images that tables list.

    Attributes:
        splits: images with a class by split and id.
        boxes: the boxes of a split.
        listed: files of all listed images.
        notes: what the columns mean, and what matches nothing.
    """

    splits: dict[str, dict[str, LabeledImage]] = dataclasses.field(default_factory=dict)
    boxes: dict[str, SplitBoxes] = dataclasses.field(default_factory=dict)
    listed: set[Path] = dataclasses.field(default_factory=set)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(
        self, placed: PlacedTable, images: Mapping[str, Path], *, folders: Mapping[str, Path], root: Path
    ) -> None:
        """Add the images of a table.

        Args:
            placed: the table.
            images: the images in its folder by id.
            folders: the folder of each split that has one.
            root: the image folder.

        Raises:
            ValueError: it lists none of the images, a name matches several, or an image is of two splits.
        """
        table, name = placed.table, placed.table.path.relative_to(root).as_posix()
        images = _of_split(placed, images, folders)
        others = [spelling for split in SPELLINGS if split != placed.split for spelling in SPELLINGS[split]]
        try:
            matches = box_matching.match(
                table.annotations, list(images), other_splits=others if placed.split else ()
            )
        except ValueError as error:
            raise ValueError(f"{table.path}: {error}") from error
        if not matches.by_image:
            raise ValueError(
                f"{table.path}: it lists none of the images; its column {table.columns.file!r} has "
                f"{examples(table.annotations)}, {placed.folder} has {examples(images) or 'no images'}"
            )
        boxes: dict[str, dict[str, Annotation]] = collections.defaultdict(dict)
        unlabeled = []
        for image_id, annotation in matches.by_image.items():
            key = matches.names[image_id]
            if (label := table.labels.get(key)) is None:
                unlabeled.append(image_id)
                continue
            split = table.splits.get(key) or placed.split or _split_of(images[image_id], folders)
            self._put(split, image_id, LabeledImage(images[image_id], label), table)
            boxes[split][image_id] = annotation
        self.notes += _notes(name, table, matches, unlabeled)
        self.listed.update(images[image_id] for image_id in matches.by_image)
        if table.has_boxes:
            for split, by_image in boxes.items():
                known = self.boxes[split].by_image if split in self.boxes else {}
                self.boxes[split] = SplitBoxes(table.path, known | by_image, [], len(by_image))

    def _put(self, split: str, image_id: str, image: LabeledImage, table: LabelTable) -> None:
        for other, images in self.splits.items():
            if other != split and image_id in images and images[image_id].path == image.path:
                raise ValueError(
                    f"{table.path}: {image_id} is in {split} and in {other}; expected one split per image"
                )
        self.splits.setdefault(split, {})[image_id] = image


def _of_split(
    placed: PlacedTable, images: Mapping[str, Path], folders: Mapping[str, Path]
) -> Mapping[str, Path]:
    """Return the images that a table of one split may mean: in that split's folder, or in no split's."""
    if placed.split is None:
        return images
    own = folders.get(placed.split)
    return {
        image_id: path
        for image_id, path in images.items()
        if (path.is_relative_to(own) if own else not any(map(path.is_relative_to, folders.values())))
    }


def _split_of(path: Path, folders: Mapping[str, Path]) -> str:
    return next((split for split, folder in folders.items() if path.is_relative_to(folder)), "train")


def _notes(
    name: str, table: LabelTable, matches: box_matching.Matches, unlabeled: Sequence[str]
) -> list[str]:
    """Describe what the columns mean, and which rows and images are left out."""
    lines = [f"{name}: {table.columns}"]
    if matches.unmatched:
        lines.append(
            f"{name}: {len(matches.unmatched):,} of its {some(len(table.annotations), 'name')} match no "
            f"image, such as {matches.unmatched[0]!r}"
        )
    if unlabeled:
        lines.append(
            f"{name}: left out: {some(len(unlabeled), 'image')} without a class, such as {unlabeled[0]!r}"
        )
    return lines

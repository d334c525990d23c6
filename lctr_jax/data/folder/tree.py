"""List an image folder: `ROOT/train/CLASS/*`, `ROOT/val|test/CLASS/*`, and its box lists and masks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lctr_jax.data import box_lists, records
from lctr_jax.data.folder import annotation_files, naming, scan
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.folder.layout import FolderLayout, canonical, find_layout
from lctr_jax.data.name_rules import check_class_names
from lctr_jax.data.notes import some

Exif = Literal["auto", "upright", "stored"]
_HELD_OUT = 0.1  # share of each class held out as `val` if there is only `train`


def read_folder(root: Path, boxes: Mapping[str, str | Path], *, exif: Exif = "auto") -> records.Manifest:
    """List every image of a folder with its class, boxes and mask.

    Labels are the positions of the class folders in sorted order. Boxes come from `boxes[split]`, otherwise
    from `ROOT/list/SPLIT_boxes*` in any format of `box_lists`. Masks are `ROOT/masks/SPLIT/CLASS/NAME.png`.
    Without `val` and `test`, 10 % of each class are held out as `val`, starting with images in a box list of
    `val`.

    Images are rotated by their EXIF orientation, or read as stored if the split has a box list or masks;
    `exif` overrides this for all splits.

    Raises:
        FileNotFoundError: there is no such folder, or it has no images where they are expected.
        ValueError: a class folder is empty or missing in `train`, or a box list does not match.
    """
    ignored = Ignored(root)
    layout = find_layout(root, ignored)
    given = _canonical_lists(root, layout, boxes)
    images = {split: _find_split(layout, split, root, ignored) for split in layout.splits}
    _check_classes(layout, images)
    folders = sorted(folder.name for folder in layout.classes["train"])
    names, names_line = naming.read_names(root, folders)
    check_class_names(names)
    reader = _Reader(root, layout, folders, names, given, exif)
    splits = {split: reader.items(split, paths) for split, paths in images.items()}
    held_out = list(splits) == ["train"]
    if held_out:
        splits = reader.hold_out(splits["train"])
    else:
        splits["train"] = records.stratify(splits["train"])
    ignored_line = ignored.line()
    lines = [
        _counts(root, splits, flat=layout.flat, held_out=held_out),
        names_line,
        *reader.lines(splits),
        annotation_files.unread_lists(root, list(splits)),
        ignored_line and f"ignored in {root}: {ignored_line}",
    ]
    return records.Manifest(names, splits, [line for line in lines if line])


class _Reader:
    """Creates items from image paths, and collects notes on how boxes and masks were matched."""

    def __init__(
        self,
        root: Path,
        layout: FolderLayout,
        folders: Sequence[str],
        names: Sequence[str],
        given: Mapping[str, str | Path],
        exif: Exif,
    ):
        self._root, self._layout, self._given, self._exif = root, layout, given, exif
        self._labels = {folder: label for label, folder in enumerate(folders)}
        self._names = names
        self._by_name = {name.casefold(): label for label, name in [*enumerate(names), *enumerate(folders)]}
        self._lists: dict[str, annotation_files.SplitBoxes | None] = {}
        self._masks: dict[str, dict[str, records.ByteRange]] = {}
        self._left_out: dict[str, int] = {}

    def items(self, split: str, images: Mapping[str, Path]) -> list[records.Item]:
        """Return the items of a split with their boxes and masks."""
        path = annotation_files.find_list(self._root, split, self._given)
        listed = (
            annotation_files.read_folder_boxes(path, split, list(images), self._layout, root=self._root)
            if path
            else None
        )
        masks = annotation_files.find_masks(self._root, split, flat=self._layout.flat)
        self._lists[split], self._masks[split] = listed, masks
        upright = self._exif == "upright" or (self._exif == "auto" and not listed and not masks)
        return [
            records.Item(
                id=image_id,
                label=self._labels[image_id.partition("/")[0]],
                image=records.ByteRange.of_file(path),
                boxes_xyxy=self._own_boxes(
                    split, image_id, listed.by_image.get(image_id) if listed else None
                ),
                mask=masks.get(annotation_files.stem(image_id)),
                upright=upright,
            )
            for image_id, path in images.items()
        ]

    def hold_out(self, train: list[records.Item]) -> dict[str, list[records.Item]]:
        """Split the training images into `train` and `val`.

        Raises:
            ValueError: there are too few of them.
        """
        held_out = max(1, round(_HELD_OUT * len(train)))
        images = {item.id: Path(item.image.path) for item in train}
        val = {item.id: item for item in self.items("val", images)} if self._has_own_val() else {}
        ordered = records.stratify(train, first={name for name, item in val.items() if len(item.boxes_xyxy)})
        splits = {"train": ordered[held_out:], "val": [val.get(item.id, item) for item in ordered[:held_out]]}
        if lost := {item.label for item in splits["val"]} - {item.label for item in splits["train"]}:
            raise ValueError(
                f"data.root: class {self._names[min(lost)]!r} has too few images to hold out 10 % as val; "
                f"expected more images, or a folder {self._root / 'val'}"
            )
        return splits

    def lines(self, splits: Mapping[str, Sequence[records.Item]]) -> Iterator[str | None]:
        """Yield how boxes and masks were matched with the images."""
        for split, items in splits.items():
            yield annotation_files.boxes_line(split, items, self._lists.get(split), self._root)
            if others := self._left_out.get(split):
                yield f"boxes of {split}: {some(others, 'box')} of classes other than the image's are ignored"
            yield annotation_files.masks_line(split, items, self._masks.get(split, {}))

    def _has_own_val(self) -> bool:
        masks = annotation_files.find_masks(self._root, "val", flat=False)
        return bool(masks) or annotation_files.find_list(self._root, "val", self._given) is not None

    def _own_boxes(
        self, split: str, image_id: str, annotation: box_lists.Annotation | None
    ) -> box_lists.Boxes:
        """Return the boxes of the image's class.

        Raises:
            ValueError: the list gives the image another class.
        """
        if annotation is None:
            return records.NO_BOXES
        folder = image_id.partition("/")[0]
        label = self._labels[folder]
        if box_lists.contradicts(annotation, label, self._by_name):
            raise ValueError(
                f"box list of {split}: {image_id} has label {annotation.label!r} there, but its folder "
                f"{folder} is class {label} (class folders count from 0 in sorted order); correct the list, "
                "or leave out its labels: lines `path,x0,y0,x1,y1`"
            )
        boxes, others = annotation_files.keep_class(annotation, [folder, self._names[label]])
        self._left_out[split] = self._left_out.get(split, 0) + others
        return boxes


def _canonical_lists(
    root: Path, layout: FolderLayout, boxes: Mapping[str, str | Path]
) -> dict[str, str | Path]:
    """Return the given lists by canonical split name."""
    has_val = "val" in layout.splits or list(layout.splits) == ["train"]
    for split, path in boxes.items():
        if canonical(split) not in layout.splits and not (canonical(split) == "val" and has_val):
            raise ValueError(f"box list of {split}: got {path}, but the folder {root / split} does not exist")
    return {canonical(split): path for split, path in boxes.items()}


def _find_split(layout: FolderLayout, split: str, root: Path, ignored: Ignored) -> dict[str, Path]:
    """Return the images of a split by id, `CLASS/...`.

    Raises:
        ValueError: a class folder has no images.
    """
    images = {}
    for folder in sorted(layout.classes[split]):
        paths = scan.scan_folder(folder, root, ignored)
        if not paths:
            there = ignored.line(below=folder)
            raise ValueError(
                f"data.root: class folder {folder} has no images"
                + (f"; ignored there: {there}" if there else "")
            )
        images |= {path.relative_to(layout.splits[split]).as_posix(): path for path in paths}
    return images


def _check_classes(layout: FolderLayout, images: Mapping[str, Mapping[str, Path]]) -> None:
    known = {folder.name for folder in layout.classes["train"]}
    for split in images:
        if unknown := [folder for folder in layout.classes[split] if folder.name not in known]:
            raise ValueError(f"data.root: class folder {unknown[0]} has no counterpart in train/")


def _counts(root: Path, splits: Mapping[str, Sequence[records.Item]], *, flat: bool, held_out: bool) -> str:
    """Describe the number of images and classes of each split."""
    parts = [
        f"{split} {some(len(items), 'image')} of {some(len({item.label for item in items}), 'class')}"
        for split, items in splits.items()
    ]
    why = "only class folders" if flat else "only train"
    tail = f"; {why}: 10 % of each class is held out as val" if held_out else ""
    return f"{root}: {', '.join(parts)}{tail}"

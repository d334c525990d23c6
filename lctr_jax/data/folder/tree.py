"""List an image folder, whose classes are folders or in a table, with its box lists and masks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lctr_jax.data import box_lists, records
from lctr_jax.data.folder import annotation_files, listed_folders, naming
from lctr_jax.data.folder.class_folders import read_class_folders
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.folder.labeled_images import LabeledImage, LabeledImages
from lctr_jax.data.folder.layout import FolderLayout, canonical
from lctr_jax.data.name_rules import check_class_names
from lctr_jax.data.notes import some

Exif = Literal["auto", "upright", "stored"]
_HELD_OUT = 0.1  # share of each class held out as `val` if there is only `train`


def read_folder(root: Path, boxes: Mapping[str, str | Path], *, exif: Exif = "auto") -> records.Manifest:
    """List every image of a folder with its class, boxes and mask.

    Classes are the folders `ROOT/SPLIT/CLASS` or `ROOT/CLASS`, or values in a table, see
    `listed_folders.read_listed_folder`; labels are their positions in sorted order. Boxes come from
    `boxes[split]`, otherwise from `ROOT/list/SPLIT_boxes*` in any format of `box_lists`, or from the table.
    Masks are `ROOT/masks/SPLIT/NAME.png` for an image `NAME`, such as `CLASS/7.jpg`. Without `val` and
    `test`, 10 % of each class are held out as `val`, starting with images in a box list of `val`.

    Images are rotated by their EXIF orientation, or read as stored if the split has a box list or masks;
    `exif` overrides this for all splits.

    Raises:
        FileNotFoundError: there is no such folder, or it has no images where they are expected.
        ValueError: a class folder is empty or missing in `train`, or a box list does not match.
    """
    ignored = Ignored(root)
    found = listed_folders.read_listed_folder(root, ignored)
    unread_line = None
    if found is None:
        try:
            found = read_class_folders(root, ignored)
        except FileNotFoundError as error:
            hint = listed_folders.describe_unread(root, any_name=True)
            raise FileNotFoundError(f"{error}; {hint}" if hint else str(error)) from error
        listed_folders.check_tables_agree(root, found)
        unread_line = listed_folders.describe_unread(root)
    given = _canonical_lists(root, found.layout, boxes)
    names, names_line = naming.read_names(root, found.classes)
    check_class_names(names)
    reader = _Reader(root, found, names, given, exif)
    splits = {split: reader.items(split, images) for split, images in found.splits.items()}
    held_out = list(splits) == ["train"]
    if held_out:
        splits = reader.hold_out(splits["train"])
    else:
        splits["train"] = records.stratify(splits["train"])
    ignored_line = ignored.line()
    lines = [
        _counts(root, splits, found.layout, held_out=held_out),
        *found.notes,
        unread_line,
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
        found: LabeledImages,
        names: Sequence[str],
        given: Mapping[str, str | Path],
        exif: Exif,
    ):
        self._root, self._found, self._given, self._exif = root, found, given, exif
        self._labels = {key: label for label, key in enumerate(found.classes)}
        self._names = names
        both = [*enumerate(names), *enumerate(found.classes)]
        self._by_name = {name.casefold(): label for label, name in both}
        self._lists: dict[str, annotation_files.SplitBoxes | None] = {}
        self._masks: dict[str, dict[str, records.ByteRange]] = {}
        self._left_out: dict[str, int] = {}

    def items(self, split: str, images: Mapping[str, LabeledImage]) -> list[records.Item]:
        """Return the items of a split with their boxes and masks."""
        listed = self._read_list(split, images)
        masks = annotation_files.find_masks(self._root, split, flat=self._found.layout.flat)
        self._lists[split], self._masks[split] = listed, masks
        upright = self._exif == "upright" or (self._exif == "auto" and not listed and not masks)
        return [
            records.Item(
                id=image_id,
                label=self._labels[image.class_key],
                image=records.ByteRange.of_file(image.path),
                boxes_xyxy=self._own_boxes(
                    split, image_id, image.class_key, listed.by_image.get(image_id) if listed else None
                ),
                mask=masks.get(annotation_files.stem(image_id)),
                upright=upright,
            )
            for image_id, image in images.items()
        ]

    def _read_list(
        self, split: str, images: Mapping[str, LabeledImage]
    ) -> annotation_files.SplitBoxes | None:
        """Return the boxes of a split from its list, or from the table that lists its images.

        Raises:
            ValueError: both have boxes, or the list does not match.
        """
        path, table = annotation_files.find_list(self._root, split, self._given), self._found.boxes.get(split)
        if path and table:
            raise ValueError(f"boxes of {split}: {table.path} and {path} both have some; keep one of them")
        if not path:
            return table
        layout = self._found.layout
        return annotation_files.read_folder_boxes(path, split, list(images), layout, root=self._root)

    def hold_out(self, train: list[records.Item]) -> dict[str, list[records.Item]]:
        """Split the training images into `train` and `val`.

        Raises:
            ValueError: there are too few of them.
        """
        held_out = max(1, round(_HELD_OUT * len(train)))
        images = self._found.splits["train"]
        val = {item.id: item for item in self.items("val", images)} if self._has_own_val() else {}
        self._lists.setdefault("val", self._lists["train"])
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
        self, split: str, image_id: str, class_key: str, annotation: box_lists.Annotation | None
    ) -> box_lists.Boxes:
        """Return the boxes of the image's class.

        Raises:
            ValueError: the list gives the image another class.
        """
        if annotation is None:
            return records.NO_BOXES
        label = self._labels[class_key]
        if box_lists.contradicts(annotation, label, self._by_name):
            listed = annotation.box_labels[0] if annotation.label is None else annotation.label
            kind = "folder" if self._found.layout.classes else "class"
            raise ValueError(
                f"box list of {split}: {image_id} has label {listed!r} there, but its {kind} {class_key} is "
                f"class {label} ({kind} names count from 0 in sorted order); correct the list, or leave out "
                "its labels: lines `path,x0,y0,x1,y1`"
            )
        boxes, others = annotation_files.keep_class(annotation, [class_key, self._names[label]])
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


def _counts(
    root: Path, splits: Mapping[str, Sequence[records.Item]], layout: FolderLayout, *, held_out: bool
) -> str:
    """Describe the number of images and classes of each split."""
    parts = [
        f"{split} {some(len(items), 'image')} of {some(len({item.label for item in items}), 'class')}"
        for split, items in splits.items()
    ]
    why = "only class folders" if layout.flat and layout.classes else "only train"
    tail = f"; {why}: 10 % of each class is held out as val" if held_out else ""
    return f"{root}: {', '.join(parts)}{tail}"

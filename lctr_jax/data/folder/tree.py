"""List an image folder: `ROOT/train/CLASS/*`, `ROOT/val|test/CLASS/*`, box lists and masks beside them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lctr_jax.data import box_lists, records

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
_HELD_OUT = 0.1  # share of each class that becomes `val` where the folder has `train` alone


def read_plan(root: Path, boxes: Mapping[str, str | Path]) -> records.Plan:
    """List every image of a folder with its class, boxes and mask.

    Labels are the places of the class folders' names in sorted order. Boxes come from `boxes[split]`, else
    from `ROOT/list/SPLIT_boxes*` in any format of `box_lists`. Masks are `ROOT/masks/SPLIT/CLASS/NAME.png`.

    Raises:
        FileNotFoundError: there is no such folder, or no `train` folder in it.
        ValueError: an empty class folder, a class that `train` lacks, a box list that does not fit.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data.root: no such folder: {root}")
    if not (root / "train").is_dir():
        raise FileNotFoundError(f"data.root: expected {root / 'train'} with one folder of images a class")
    for split in boxes:
        if not (root / split).is_dir():
            raise ValueError(
                f"box list of {split}: got {boxes[split]}, but there is no folder {root / split}"
            )
    class_names = _class_names(root / "train")
    splits = {
        split: _items(root, split, class_names, _box_list(root, split, boxes))
        for split in SPLITS
        if (root / split).is_dir()
    }
    splits["train"] = records.stratify(splits["train"])
    if list(splits) == ["train"]:
        if len(splits["train"]) < 2:
            raise ValueError(f"data.root: {root / 'train'} has one image; expected two or more")
        held_out = max(1, round(_HELD_OUT * len(splits["train"])))
        splits = {"train": splits["train"][held_out:], "val": splits["train"][:held_out]}
    return records.Plan(class_names, splits)


def _class_names(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if not names:
        raise ValueError(f"data.root: {folder} has no class folders; expected one folder of images a class")
    return names


def _items(
    root: Path, split: str, class_names: list[str], annotations: Mapping[str, box_lists.Annotation]
) -> list[records.Item]:
    items = []
    labels = {name: label for label, name in enumerate(class_names)}
    for name in _class_names(root / split):
        if name not in labels:
            raise ValueError(f"data.root: class folder {root / split / name} has no counterpart in train/")
        paths = list(_image_paths(root / split / name))
        if not paths:
            raise ValueError(f"data.root: class folder {root / split / name} has no images")
        items += [_item(root, split, path, labels, annotations) for path in paths]
    if annotations and not any(len(item.boxes_xyxy) for item in items):
        raise ValueError(
            f"box list of {split}: it names none of the images; "
            f"it has {_some(annotations)}, the folder has {_some(item.id for item in items)}"
        )
    return items


def _item(
    root: Path,
    split: str,
    path: Path,
    labels: Mapping[str, int],
    annotations: Mapping[str, box_lists.Annotation],
) -> records.Item:
    image_id = path.relative_to(root / split).as_posix()
    folder = path.relative_to(root / split).parts[0]
    annotation = box_lists.find(image_id, annotations, prefix=split)
    if annotation and box_lists.contradicts(annotation, folder, labels):
        raise ValueError(
            f"box list of {split}: {image_id} has label {annotation.label!r} there, but its folder {folder} "
            f"is class {labels[folder]} (class folders count from 0 in sorted order); mend the list, or "
            "leave out its labels: lines `path,x0,y0,x1,y1`"
        )
    mask = (root / "masks" / split / image_id).with_suffix(".png")
    return records.Item(
        id=image_id,
        label=labels[folder],
        image=records.ByteRange.of_file(path),
        boxes_xyxy=annotation.boxes_xyxy if annotation else records.NO_BOXES,
        mask=records.ByteRange.of_file(mask) if mask.exists() else None,
    )


def _image_paths(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for file in sorted(files):
            if file[0] != "." and Path(file).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, file)


def _box_list(root: Path, split: str, given: Mapping[str, str | Path]) -> dict[str, box_lists.Annotation]:
    if split in given:
        return box_lists.read_annotations(given[split])
    found = sorted((root / "list").glob(f"{split}_boxes*"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"data.root: {root / 'list'} has several box lists of {split}: {names}; keep one")
    return box_lists.read_annotations(found[0]) if found else {}


def _some(names) -> str:
    return ", ".join(list(names)[:2])

"""The published files of ILSVRC2012 (Russakovsky et al., IJCV 2015): location and formats."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from lctr_jax.data import box_lists, records
from lctr_jax.data.imagenet import synsets

HOW_TO_GET = (
    "download ILSVRC2012_img_train.tar (138 GB), ILSVRC2012_img_val.tar (6.3 GB) and "
    "ILSVRC2012_bbox_val_v3.tgz from https://image-net.org/ into one folder DIR (the last two are "
    "enough for evaluation alone, with `--splits val`)"
)
NUM_CLASSES = 1_000
NUM_IMAGES = {"train": 1_281_167, "val": 50_000}
_WNID = re.compile(r"n\d{8}")
_PLACES = {  # in order of preference: official downloads, plain folders, Kaggle's layout
    "train": ("ILSVRC2012_img_train.tar", "train", "ILSVRC/Data/CLS-LOC/train"),
    "val": ("ILSVRC2012_img_val.tar", "val", "ILSVRC/Data/CLS-LOC/val"),
    "boxes": (
        "ILSVRC2012_bbox_val_v3.tgz",
        "LOC_val_solution.csv",
        "ILSVRC/Annotations/CLS-LOC/val",
        "list/val_boxes.txt",
        "metadata/ILSVRC/test",
    ),
}


def find_part(source: Path, part: str) -> Path:
    """Return the location of `train`, `val` or `boxes` in the source folder.

    Raises:
        FileNotFoundError: it is in none of the known locations.
    """
    for place in _PLACES[part]:
        if (source / place).exists():
            return source / place
    raise FileNotFoundError(f"imagenet: no {part} in {source}; expected one of {', '.join(_PLACES[part])}")


def read_train(files: Mapping[str, records.ByteRange]) -> tuple[list[str], list[records.Item]]:
    """Return the wnids in sorted order, which is the order of labels, and the training items.

    Raises:
        ValueError: no file is in a folder or archive named by a wnid.
    """
    by_wnid = {key: _wnid_of(key) for key in files if key.lower().endswith((".jpeg", ".jpg"))}
    wnids = sorted({wnid for wnid in by_wnid.values() if wnid})
    if not wnids:
        raise ValueError("imagenet: no training image is in a folder named by a wnid such as n01440764")
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    items = [
        records.Item(f"{wnid}/{PurePosixPath(key).name}", labels[wnid], files[key])
        for key, wnid in by_wnid.items()
        if wnid
    ]
    return wnids, records.stratify(items)


def read_val(
    files: Mapping[str, records.ByteRange], boxes: Path, wnids: list[str]
) -> tuple[list[records.Item], list[str]]:
    """Match the validation images with their boxes, and with labels if there are no class folders.

    A label given as an index refers to all of ImageNet's classes; for a source with only some classes, only
    wnids are accepted. An image for which neither folder nor list gives a label has the published one of its
    official name.

    Returns:
        The items, and notes on names in the list that have no image.

    Raises:
        ValueError: an image has no box or no label, or list and folders disagree on its label.
    """
    annotations: dict[str, tuple[str, box_lists.Annotation]] = {}
    for key, note in box_lists.read_annotations(boxes).items():
        stem = _stem(key)
        if stem in annotations:
            raise ValueError(
                f"imagenet: {boxes} has {annotations[stem][0]} and {key}, two entries for one image"
            )
        annotations[stem] = key, note
    labels_path = (boxes if boxes.is_dir() else boxes.parent) / "class_labels.txt"
    listed = box_lists.read_class_labels(labels_path) if labels_path.exists() else {}
    items = []
    for path in sorted(files, key=lambda path: PurePosixPath(path).name):
        if not path.lower().endswith((".jpeg", ".jpg")):
            continue
        name = PurePosixPath(path).name
        if _stem(path) not in annotations:
            raise ValueError(f"imagenet: {boxes} has no box for {name}")
        key, note = annotations[_stem(path)]
        sources = [_wnid_of(path), note.label, listed.get(key), _wnid_of(key)]
        if all(source is None for source in sources):
            sources = [synsets.validation_wnid(_stem(path))]
        label = _label(name, sources, wnids, boxes)
        items.append(records.Item(name, label, files[path], note.boxes_xyxy))
    if unmatched := annotations.keys() - {_stem(item.id) for item in items}:
        line = (
            f"boxes of val: {len(items):,} of {len(items):,} images, from {boxes}; {len(unmatched):,} of the "
        )
        return items, [f"{line}list's {len(annotations):,} names match no image, such as {min(unmatched)}"]
    return items, []


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def _label(name: str, sources: Sequence[int | str | None], wnids: list[str], boxes: Path) -> int:
    """Return the label that all sources, indices or wnids, agree on.

    Raises:
        ValueError: there is none, they disagree, or there are only indices of a source with fewer classes.
    """
    labels = {wnids.index(label) if label in wnids else None for label in sources if isinstance(label, str)}
    indices = {label for label in sources if isinstance(label, int)}
    if len(wnids) == NUM_CLASSES:
        labels |= {label if label < len(wnids) else None for label in indices}
    elif not labels and indices:
        raise ValueError(
            f"imagenet: {boxes} labels {name} by an index among {NUM_CLASSES:,} classes, and the source has "
            f"{len(wnids):,}; expected a list with wnids, or val/ in class folders"
        )
    if len(labels) != 1 or None in labels:
        raise ValueError(f"imagenet: {name}: its folder and {boxes} give no label, or different ones")
    return labels.pop()  # pyright: ignore[reportReturnType]  not None, as just seen


def _wnid_of(path: str) -> str | None:
    """Return the last folder of a path if it is a wnid."""
    folder = PurePosixPath(path).parent.name
    return folder if _WNID.fullmatch(folder) else None

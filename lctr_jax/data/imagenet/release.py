"""The published files of ILSVRC2012 (Russakovsky et al., IJCV 2015): where they are and how they read."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lctr_jax.data import box_lists, records

HOW_TO_GET = (
    "download ILSVRC2012_img_train.tar (138 GB), ILSVRC2012_img_val.tar (6.3 GB) and "
    "ILSVRC2012_bbox_val_v3.tgz from https://image-net.org/ into one folder DIR"
)
NUM_IMAGES = {"train": 1_281_167, "val": 50_000}
_WNID = re.compile(r"n\d{8}")
_PLACES = {  # in the order of preference: the official downloads, plain folders, Kaggle's layout
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


def find(source: Path, part: str) -> Path:
    """Return the place of `train`, `val` or `boxes` under the source folder.

    Raises:
        FileNotFoundError: it is at none of the known places.
    """
    for place in _PLACES[part]:
        if (source / place).exists():
            return source / place
    raise FileNotFoundError(f"imagenet: no {part} in {source}; expected one of {', '.join(_PLACES[part])}")


def read_train(files: Mapping[str, records.ByteRange]) -> tuple[list[str], list[records.Item]]:
    """Return the wnids in sorted order, which is label order, and the training items.

    Raises:
        ValueError: no file lies in a folder or an archive named by a wnid.
    """
    by_wnid = {key: _wnid_of(key) for key in files if key.lower().endswith((".jpeg", ".jpg"))}
    wnids = sorted({wnid for wnid in by_wnid.values() if wnid})
    if not wnids:
        raise ValueError("imagenet: no training image lies in a folder named by a wnid, as n01440764")
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    items = [
        records.Item(f"{wnid}/{PurePosixPath(key).name}", labels[wnid], files[key])
        for key, wnid in by_wnid.items()
        if wnid
    ]
    return wnids, records.stratify(items)


def read_val(files: Mapping[str, records.ByteRange], boxes: Path, wnids: list[str]) -> list[records.Item]:
    """Join the validation images with their boxes, and with their labels where no class folder tells them.

    Raises:
        ValueError: an image has no box or no label, or the list and the folders disagree on its label.
    """
    annotations = {
        PurePosixPath(key).stem: (key, note) for key, note in box_lists.read_annotations(boxes).items()
    }
    labels_path = (boxes if boxes.is_dir() else boxes.parent) / "class_labels.txt"
    listed = box_lists.read_class_labels(labels_path) if labels_path.exists() else {}
    items = []
    for path in sorted(files, key=lambda path: PurePosixPath(path).name):
        if not path.lower().endswith((".jpeg", ".jpg")):
            continue
        name = PurePosixPath(path).name
        if PurePosixPath(path).stem not in annotations:
            raise ValueError(f"imagenet: {boxes} has no box for {name}")
        key, note = annotations[PurePosixPath(path).stem]
        label = _label([_wnid_of(path), note.label, listed.get(key), _wnid_of(key)], wnids)
        if label is None:
            raise ValueError(f"imagenet: {name}: its folder and {boxes} give it no label, or different ones")
        items.append(records.Item(name, label, files[path], note.boxes_xyxy))
    return items


def _label(told: list[int | str | None], wnids: list[str]) -> int | None:
    """Return the index that every source, an index or a wnid, agrees on, else None."""
    labels = set()
    for label in told:
        match label:
            case str():
                labels.add(wnids.index(label) if label in wnids else None)
            case int():
                labels.add(label if label < len(wnids) else None)
    return labels.pop() if len(labels) == 1 else None


def _wnid_of(path: str) -> str | None:
    """Return the last folder of a path if it is a wnid."""
    folder = PurePosixPath(path).parent.name
    return folder if _WNID.fullmatch(folder) else None

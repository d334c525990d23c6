"""The box splits that the field holds out for choosing thresholds: CUBV2 and ImageNetV2 of wsoleval.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020), give them as
folders of images beside `class_labels.txt` (`path,label`) and `localization.txt` (`path,x0,y0,x1,y1`).
"""

from collections.abc import Iterable
from pathlib import Path

from lctr_jax.data import archives, box_lists, records


def read_items(images: Path, lists: Path, *, num_classes: int, scratch: Path) -> list[records.Item]:
    """Join the images under a folder or archive, wsoleval's image root, with their labels and boxes.

    Raises:
        FileNotFoundError: a list or an image is missing.
        ValueError: a list cannot be read, an image has no box, or a label is none of the classes.
    """
    labels_path, boxes_path = lists / "class_labels.txt", lists / "localization.txt"
    if not labels_path.exists():
        raise FileNotFoundError(f"held-out split: expected {labels_path}, a list of `path,label`")
    labels, boxes = box_lists.read_class_labels(labels_path), box_lists.read_boxes(boxes_path)
    places = _places(images, labels, scratch=scratch)
    for key, label in labels.items():
        if label >= num_classes:
            raise ValueError(f"{labels_path}: {key} has label {label}; expected 0..{num_classes - 1}")
        if key not in boxes:
            raise ValueError(f"{boxes_path}: no box for {key}")
    return [
        records.Item(id=key, label=label, image=places[key], boxes_xyxy=boxes[key])
        for key, label in sorted(labels.items())
    ]


def _places(images: Path, keys: Iterable[str], *, scratch: Path) -> dict[str, records.ByteRange]:
    """Look up the images alone: their root holds the whole training set, too."""
    if images.is_dir():
        places = {key: records.ByteRange.of_file(images / key) for key in keys if (images / key).is_file()}
    else:
        places = archives.list_files(images, scratch=scratch)
    if missing := sorted(set(keys) - places.keys()):
        raise FileNotFoundError(f"held-out split: {images} lacks {len(missing)} images, such as {missing[0]}")
    return places

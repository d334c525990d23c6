"""CUB-200-2011 as wsoleval's scripts leave it: class folders in one folder, and its lists elsewhere."""

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from lctr_jax.data import archives, box_lists, records, wsoleval_lists


def list_class_folders(
    source: Path,
    metadata: Path,
    segmentations: Mapping[str, records.ByteRange],
    *,
    splits: Collection[str],
    scratch: Path,
) -> records.Manifest:
    """List `splits` of train and test by wsoleval's lists, with masks if there are segmentations.

    Args:
        source: wsoleval's `dataset/CUB`.
        metadata: its `metadata/CUB`.
        segmentations: CUB's published masks.
        splits: of train and test; images of other splits may be missing.
        scratch: folder for decompressed archives.

    Raises:
        FileNotFoundError: a list, an image or a mask is missing.
        ValueError: a list cannot be read, or an image has no box.
    """
    labels = {split: wsoleval_lists.read_labels(metadata / split) for split in ("train", "test")}
    names = wsoleval_lists.class_folders(labels.values(), where=metadata)
    masks = {"/".join(PurePosixPath(key).parts[-2:]): place for key, place in segmentations.items()}
    items: dict[str, list[records.Item]] = {}
    for split in splits:
        boxes = box_lists.read_boxes(metadata / split)
        images = archives.find_files(source, labels[split], scratch=scratch)
        items[split] = []
        for name, label in labels[split].items():
            mask = masks.get(str(PurePosixPath(name).with_suffix(".png")))
            if name not in images or (masks and mask is None):
                missing = "image" if name not in images else "mask"
                raise FileNotFoundError(f"cub: the {missing} of {name} is missing in {source}")
            if name not in boxes:
                raise ValueError(f"{metadata / split}: no box for {name}")
            items[split].append(records.Item(name, label, images[name], boxes[name], mask))
    if "train" in items:
        items["train"] = records.stratify(items["train"])
    return records.Manifest(names, items)

"""wsoleval's OpenImages30k (Choe et al., CVPR 2020): its folder of images and masks, and its lists."""

from collections.abc import Collection
from pathlib import Path

from lctr_jax.data import archives, records, wsoleval_lists
from lctr_jax.data.folder import naming
from lctr_jax.data.masks import InstanceMasks

HOW_TO_GET = (
    "get https://github.com/clovaai/wsolevaluation, whose dataset/prepare_openimages.sh downloads the images "
    "and masks to dataset/OpenImages, and whose metadata/OpenImages contains the lists"
)
NUM_IMAGES = {"train": 29_819, "val": 2_500, "test": 5_000}
MASKED = ("val", "test")


def list_splits(
    source: Path, metadata: Path, *, splits: Collection[str], partial: bool, scratch: Path
) -> records.Manifest:
    """List `splits`, with masks for val and test; images of other splits may be missing.

    Args:
        source: the folder that names in the lists are relative to.
        metadata: wsoleval's `metadata/OpenImages`.
        splits: of train, val and test.
        partial: leave out images that are not in `source`.
        scratch: folder for decompressed archives.

    Raises:
        FileNotFoundError: a list, an image or a mask is missing.
        ValueError: a list cannot be read, or labels and class folders do not correspond.
    """
    labels = {split: wsoleval_lists.read_labels(metadata / split) for split in NUM_IMAGES}
    folders = wsoleval_lists.class_folders(labels.values(), where=metadata)
    names, line = naming.read_names(source, folders)
    items: dict[str, list[records.Item]] = {}
    for split in splits:
        listed = labels[split]
        images = archives.find_files(source, listed, scratch=scratch)
        missing = [name for name in listed if name not in images]
        if missing and not partial:
            raise FileNotFoundError(
                f"openimages: {source} lacks {len(missing):,} of the {len(listed):,} images of {split}, such "
                f"as {missing[0]}; --partial accepts fewer"
            )
        masks = _find_masks(source, metadata / split, images, scratch) if split in MASKED else {}
        items[split] = [
            records.Item(name, label, images[name], mask=masks.get(name))
            for name, label in listed.items()
            if name in images
        ]
    if "train" in items:
        items["train"] = records.stratify(items["train"])
    return records.Manifest(names, items, [line] if line else [])


def _find_masks(
    source: Path, lists: Path, images: dict[str, records.ByteRange], scratch: Path
) -> dict[str, InstanceMasks]:
    """Return the mask files of every image.

    Raises:
        FileNotFoundError: a mask is missing.
        ValueError: the list cannot be read, or lacks an image.
    """
    path = lists / wsoleval_lists.LOCALIZATION
    listed = wsoleval_lists.read_mask_names(path)
    if unlisted := [name for name in images if name not in listed]:
        raise ValueError(f"{path}: no mask for {len(unlisted):,} images, such as {unlisted[0]}")
    wanted = {name: [*listed[name].instances, listed[name].ignored] for name in images}
    files = archives.find_files(
        source, (name for names in wanted.values() for name in names if name), scratch=scratch
    )
    for image, names in wanted.items():
        if missing := [name for name in names if name and name not in files]:
            raise FileNotFoundError(f"openimages: {source} lacks {missing[0]}, a mask of {image}")
    return {
        name: InstanceMasks(
            tuple(files[instance] for instance in listed[name].instances),
            files[ignored] if (ignored := listed[name].ignored) else None,
        )
        for name in images
    }

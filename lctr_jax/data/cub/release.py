"""The published files of CUB-200-2011 (Wah et al., CNS-TR-2011-001): location and formats."""

import io
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.units import Size

from lctr_jax.data import box_lists, image_decoding, records
from lctr_jax.data.box_entry import read_lines

HOW_TO_GET = (
    "download CUB_200_2011.tgz (1.1 GB) and, for masks, segmentations.tgz from "
    "https://www.vision.caltech.edu/datasets/cub_200_2011/ into one folder DIR"
)
IMAGES_URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1"
SEGMENTATIONS_URL = "https://data.caltech.edu/records/w9d68-gec53/files/segmentations.tgz?download=1"
URL_INFOS = {
    IMAGES_URL: UrlInfo(
        size=Size(1_150_585_339),
        checksum="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
        filename="CUB_200_2011.tgz",
    ),
    SEGMENTATIONS_URL: UrlInfo(
        size=Size(39_272_883),
        checksum="dc77f6cffea0cbe2e41d4201115c8f29a6320ecb04fffd2444f51b8066e4b84f",
        filename="segmentations.tgz",
    ),
}
NUM_IMAGES = {"train": 5_994, "test": 5_794}
_LISTS = ("classes", "images", "image_class_labels", "train_test_split", "bounding_boxes")


def find_release(source: Path) -> Path:
    """Return the folder with `images.txt`, or the archive, given either or a folder that contains one.

    Raises:
        FileNotFoundError: neither exists.
    """
    for folder in (source, source / "CUB_200_2011"):
        if (folder / "images.txt").exists():
            return folder
    for archive in (source, source / "CUB_200_2011.tgz"):
        if archive.is_file():
            return archive
    raise FileNotFoundError(f"cub: {source} is not CUB_200_2011.tgz and has no CUB_200_2011/images.txt")


def find_class_folders(source: Path) -> Path:
    """Return wsoleval's folder of class folders.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is the release as published, with its own lists.
    """
    if not source.is_dir():
        raise FileNotFoundError(f"cub: {source} is not a folder; expected wsoleval's dataset/CUB")
    if (source / "images.txt").is_file() or (source / "CUB_200_2011" / "images.txt").is_file():
        raise ValueError(f"--metadata: {source} has CUB's own lists, images.txt and others; leave it out")
    return source


def find_segmentations(source: Path) -> Path | None:
    """Return the folder or archive of segmentations next to the release, or None."""
    for folder in (source, source.parent):
        for name in ("segmentations", "segmentations.tgz"):
            if (folder / name).exists():
                return folder / name
    return None


def read_manifest(
    files: Mapping[str, records.ByteRange],
    segmentations: Mapping[str, records.ByteRange],
    *,
    splits: Collection[str] = tuple(NUM_IMAGES),
) -> records.Manifest:
    """List `splits` of train and test from a release's files, with masks if there are segmentations.

    Images of other splits may be missing.

    Raises:
        FileNotFoundError: a list, an image or a mask is missing.
        ValueError: a list cannot be read.
    """
    found = [key for key in files if PurePosixPath(key).name == "images.txt"]
    if not found:
        raise FileNotFoundError("cub: no images.txt in the release; expected CUB_200_2011.tgz or its folder")
    prefix = min(found, key=len).removesuffix("images.txt")
    classes, names, labels, in_train, boxes = _read_lists(files, prefix)
    masks = {"/".join(PurePosixPath(key).parts[-2:]): place for key, place in segmentations.items()}
    items: dict[str, list[records.Item]] = {split: [] for split in splits}
    for number, name in names.items():
        if (split := "train" if in_train[number] == "1" else "test") not in items:
            continue
        image = files.get(f"{prefix}images/{name}")
        mask = masks.get(str(PurePosixPath(name).with_suffix(".png")))
        if image is None or (masks and mask is None):
            raise FileNotFoundError(f"cub: the {'image' if image is None else 'mask'} of {name} is missing")
        items[split].append(records.Item(name, int(labels[number]) - 1, image, boxes[name], mask))
    if "train" in items:
        items["train"] = records.stratify(items["train"])
    return records.Manifest(list(classes.values()), items)


def read_mask(encoded: bytes) -> bytes:
    """Convert a published segmentation, gray by the share of annotators, to 1 where at least half agree."""
    gray = np.asarray(image_decoding.decode_rgb(encoded))[..., 0]
    buffer = io.BytesIO()
    Image.fromarray((gray >= 128).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _read_lists(files: Mapping[str, records.ByteRange], prefix: str) -> tuple[dict, ...]:
    """Return classes, image names, labels and split flags by number, and boxes by image name.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a list cannot be read, or they disagree on what there is.
    """
    if missing := [name for name in _LISTS if f"{prefix}{name}.txt" not in files]:
        raise FileNotFoundError(f"cub: {missing[0]}.txt is missing next to images.txt")
    with tempfile.TemporaryDirectory() as folder:  # extracted for the readers of list files
        for name in _LISTS:
            Path(folder, f"{name}.txt").write_bytes(files[f"{prefix}{name}.txt"].read())
        classes, names, labels, in_train = (_read_column(Path(folder, f"{name}.txt")) for name in _LISTS[:4])
        boxes = box_lists.read_boxes(folder)
    for name, column in zip(_LISTS[2:4], (labels, in_train), strict=True):
        if column.keys() != names.keys():
            raise ValueError(f"cub: {name}.txt lists {len(column)} images, images.txt {len(names)}")
    if list(classes) != [str(number) for number in range(1, len(classes) + 1)]:
        raise ValueError(f"cub: classes.txt: expected the ids 1 to {len(classes)}, in order")
    for number, label in labels.items():
        if label not in classes:
            raise ValueError(
                f"cub: image_class_labels.txt: image {number} has class {label}; expected 1 to {len(classes)}"
            )
        if in_train[number] not in ("0", "1"):
            raise ValueError(
                f"cub: train_test_split.txt: image {number} has {in_train[number]!r}; expected 0 or 1"
            )
    return classes, names, labels, in_train, boxes


def _read_column(path: Path) -> dict[str, str]:
    """Read lines `id value`."""
    column: dict[str, str] = {}
    for where, line in read_lines(path):
        number, *value = line.split(maxsplit=1)
        if not value or number in column:
            raise ValueError(
                f"cub: {path.name}:{where.rpartition(':')[2]}: expected a new id and its value, got {line!r}"
            )
        column[number] = value[0]
    return column

"""The TFDS builder of `aircraft`: FGVC-Aircraft (Maji et al., arXiv:1306.5151)."""

from typing import ClassVar

import tensorflow_datasets as tfds

from lctr_jax.data import box_lists, records
from lctr_jax.data.box_entry import Entry
from lctr_jax.data.release_builder import ReleaseBuilder, ReleaseFiles

HOW_TO_GET = (
    "download fgvc-aircraft-2013b.tar.gz (2.75 GB) from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/ "
    "into a folder DIR"
)
_BANNER = (
    "aircraft: the photographs are stored as published, with the copyright line in their bottom 20 pixels"
)


class Aircraft(ReleaseBuilder):
    """FGVC-Aircraft: 100 variants, such as "Boeing 737-300"; an image has one box.

    `images_variant_trainval.txt` and `images_variant_test.txt` have lines `IMAGE VARIANT`, `variants.txt` the
    variants in label order, and `images_box.txt` lines `IMAGE xmin ymin xmax ymax`, in pixels counted from 1.
    `train` is the published `trainval`, whose own division into `train` and `val` is not used.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVES = ("fgvc-aircraft-2013b.tar.gz",)
    NUM_IMAGES: ClassVar = {"train": 6_667, "test": 3_333}

    def _read_release(self, files: ReleaseFiles) -> records.Manifest:
        variants = files["variants.txt"].read().decode().splitlines()
        labels = {variant.strip(): label for label, variant in enumerate(variants)}
        boxes = _read_pairs(files, "images_box.txt")
        splits = {}
        for split, table in (("train", "images_variant_trainval.txt"), ("test", "images_variant_test.txt")):
            splits[split] = []
            for number, variant in _read_pairs(files, table).items():
                if variant not in labels or number not in boxes:
                    raise ValueError(
                        f"{table}: image {number}: its variant {variant!r} or its box is not listed"
                    )
                entry = Entry(number, boxes[number].split(), None, f"images_box.txt: image {number}")
                if len(entry.coordinates) != 4:
                    raise ValueError(f"{entry.where}: expected four corners, got {boxes[number]!r}")
                image = files[f"images/{number}.jpg"]
                item = records.Item(f"{number}.jpg", labels[variant], image, box_lists.check_boxes(entry))
                splits[split].append(item)
        return records.Manifest(list(labels), splits, [_BANNER])


def _read_pairs(files: ReleaseFiles, name: str) -> dict[str, str]:
    """Read lines `IMAGE VALUE`."""
    pairs = {}
    for line in files[name].read().decode().splitlines():
        number, space, value = line.strip().partition(" ")
        if not line.strip():
            continue
        if not space:
            raise ValueError(f"{name}: expected an image and a value, got {line!r}")
        pairs[number] = value.strip()
    return pairs

"""The TFDS builder of `dogs`: Stanford Dogs (Khosla et al., FGVC workshop at CVPR 2011)."""

from pathlib import PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from lctr_jax.data import box_lists, box_xml, records
from lctr_jax.data.matlab_files import read_mat
from lctr_jax.data.release_builder import ReleaseBuilder, ReleaseFiles

HOW_TO_GET = (
    "download images.tar, annotation.tar and lists.tar from "
    "http://vision.stanford.edu/aditya86/ImageNetDogs/ into one folder DIR"
)


class Dogs(ReleaseBuilder):
    """Stanford Dogs: 120 breeds from ImageNet; an image has one box per dog.

    `train_list.mat` and `test_list.mat` list the images (`file_list`) with their classes (`labels`, from 1).
    The boxes are in one Pascal VOC file per image, `Annotation/BREED/IMAGE` without a suffix. A class has the
    name of its folder, such as `n02085620-Chihuahua`.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVES = ("images.tar", "annotation.tar", "lists.tar")
    NUM_IMAGES: ClassVar = {"train": 12_000, "test": 8_580}

    def _read_release(self, files: ReleaseFiles) -> records.Manifest:
        splits: dict[str, list[records.Item]] = {}
        names: dict[int, str] = {}
        for split in self.NUM_IMAGES:
            table = f"{split}_list.mat"
            images, labels = read_mat(files[table].read(), table, "file_list", "labels")
            if len(images) != len(labels):
                raise ValueError(f"dogs: {table} has {len(images):,} images and {len(labels):,} labels")
            pairs = zip(images, map(int, labels), strict=True)
            splits[split] = [_item(files, name, label, names) for name, label in pairs]
        if sorted(names) != list(range(1, len(names) + 1)):
            raise ValueError(f"dogs: the lists have the labels {sorted(names)}; expected 1 to {len(names)}")
        return records.Manifest([names[label] for label in sorted(names)], splits)


def _item(files: ReleaseFiles, name: str, label: int, names: dict[int, str]) -> records.Item:
    breed = PurePosixPath(name).parent.name
    if names.setdefault(label, breed) != breed:
        raise ValueError(f"dogs: {name} has label {label}, which is {names[label]} for others")
    place = name.removesuffix(".jpg")
    entry = box_xml.parse_annotation(files[place].read(), where=place, place=PurePosixPath(place))
    return records.Item(name, label - 1, files[name], box_lists.check_boxes(entry))

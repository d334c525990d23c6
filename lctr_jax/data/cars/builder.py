"""The TFDS builder of `cars`: Stanford Cars (Krause et al., 3dRR 2013)."""

from typing import Any, ClassVar

import tensorflow_datasets as tfds

from lctr_jax.data import box_lists, records
from lctr_jax.data.box_entry import Entry
from lctr_jax.data.matlab_files import read_mat
from lctr_jax.data.release_builder import ReleaseBuilder, ReleaseFiles

HOW_TO_GET = (
    "get cars_train.tgz, cars_test.tgz, car_devkit.tgz and cars_test_annos_withlabels.mat "
    "(published at https://ai.stanford.edu/~jkrause/cars/car_dataset.html) into one folder DIR"
)
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


class Cars(ReleaseBuilder):
    """Stanford Cars: 196 models, such as "Audi TTS Coupe 2012"; an image has one box.

    `cars_train_annos.mat` and `cars_test_annos_withlabels.mat` have one struct per image: `fname`, `class`
    from 1, and the corners of its box, in pixels counted from 1. (The devkit's `cars_test_annos.mat` has no
    classes.) `cars_meta.mat` has the names of the classes.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVES = ("cars_train.tgz", "cars_test.tgz", "car_devkit.tgz")
    NUM_IMAGES: ClassVar = {"train": 8_144, "test": 8_041}

    def _read_release(self, files: ReleaseFiles) -> records.Manifest:
        (names,) = read_mat(files["cars_meta.mat"].read(), "cars_meta.mat", "class_names")
        splits = {}
        for split, table in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
            (images,) = read_mat(files[table].read(), table, "annotations")
            splits[split] = [_item(files, f"cars_{split}", image, len(names), table) for image in images]
        return records.Manifest([str(name).strip() for name in names], splits)


def _item(
    files: ReleaseFiles, folder: str, image: dict[str, Any], num_classes: int, table: str
) -> records.Item:
    if missing := [field for field in ("fname", "class", *_CORNERS) if field not in image]:
        raise ValueError(f"{table}: an image has no {missing[0]!r}, only {', '.join(image)}")
    name, label = f"{folder}/{image['fname']}", int(image["class"])
    if not 1 <= label <= num_classes:
        raise ValueError(f"{table}: {name} has class {label}; expected 1 to {num_classes}")
    entry = Entry(name, [image[corner] for corner in _CORNERS], None, f"{table}: {name}")
    return records.Item(name, label - 1, files[name], box_lists.check_boxes(entry))

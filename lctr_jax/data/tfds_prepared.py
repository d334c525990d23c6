"""Read TFDS's own `caltech_birds2011` and `imagenet2012`, with boxes from a list matched by file name.

TFDS's `imagenet2012` has no boxes, and `caltech_birds2011` has them clipped and as float32 fractions of the
image's size, from which the published pixel values cannot be recovered. A box list from the user provides
both.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds

from lctr_jax.data import box_lists, records
from lctr_jax.data.cub import release as cub

NAME_FIELDS = {
    "caltech_birds2011": "image/filename",
    "imagenet2012": "file_name",
}  # field of the file name


@dataclasses.dataclass(frozen=True)
class JoinedSource:
    """A TFDS data source whose records have our fields."""

    source: Any
    name_field: str
    boxes: dict[str, box_lists.Boxes]  # by file name without folder and extension

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        record = self.source[index]
        path = PurePosixPath(record[self.name_field].decode())
        joined = {
            "image": record["image"],
            "id": "/".join(path.parts[-2:]).encode(),
            "label": record["label"],
            "boxes_xyxy": self.boxes.get(path.stem, records.NO_BOXES),
        }
        if mask := record.get("segmentation_mask"):
            joined["mask"] = cub.read_mask(mask)
        return joined


def find_prepared(name: str, data_dir: Path) -> Path:
    """Return the folder of the newest prepared version.

    Raises:
        FileNotFoundError: there is none.
    """
    versions = [path.parent for path in (data_dir / name).glob("*/dataset_info.json")]
    if not versions:
        raise FileNotFoundError(
            f"data.name: TFDS has prepared no {name} in {data_dir}; run "
            f"`tfds build {name} --data_dir={data_dir} --file_format=array_record` (it needs TensorFlow), "
            f"or prepare our {'cub' if 'birds' in name else 'imagenet'} instead"
        )
    return max(versions, key=lambda path: tfds.core.Version(path.name))


def join(source: Any, name: str, boxes: str | Path | None, *, class_names: Sequence[str]) -> JoinedSource:
    """Convert a data source's records to our fields, with the boxes of a list if given.

    Raises:
        ValueError: the list cannot be read, or it has no box or other labels for the first 100 images.
    """
    listed = box_lists.read_annotations(boxes) if boxes else {}
    by_stem: dict[str, box_lists.Annotation] = {}
    for key, annotation in listed.items():
        if (stem := PurePosixPath(key).stem) in by_stem:
            raise ValueError(f"{boxes}: two entries match the image {stem}, such as {key}; keep one of them")
        by_stem[stem] = annotation
    joined = JoinedSource(source, NAME_FIELDS[name], {key: note.boxes_xyxy for key, note in by_stem.items()})
    if not listed:
        return joined
    first = [joined[index] for index in range(min(len(joined), 100))]
    if not any(len(record["boxes_xyxy"]) for record in first):
        raise ValueError(f"{boxes}: none of the first 100 images of {name} is in this box list")
    labels = {class_name.casefold(): label for label, class_name in enumerate(class_names)}
    for record in first:
        path, label = record["id"].decode(), int(record["label"])
        annotation = by_stem.get(PurePosixPath(path).stem)
        if annotation and box_lists.contradicts(annotation, label, labels):
            raise ValueError(
                f"{boxes}: {path} has label {annotation.label!r} there, "
                f"but {name} has {label}, {class_names[label]}"
            )
    return joined

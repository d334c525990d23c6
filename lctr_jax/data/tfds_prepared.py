"""Read what TFDS prepared already, `caltech_birds2011` and `imagenet2012`, with boxes joined by file name.

TFDS's `imagenet2012` carries no boxes, and `caltech_birds2011` has them cut and as float32 shares of the
image's sides, which do not give back the published pixels. A box list of the user's gives both theirs.
"""

import dataclasses
from pathlib import Path, PurePosixPath
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds

from lctr_jax.data import box_lists, records
from lctr_jax.data.cub import release as cub

NAMES = {"caltech_birds2011": "image/filename", "imagenet2012": "file_name"}  # and where the file name is


@dataclasses.dataclass(frozen=True)
class JoinedSource:
    """A TFDS data source whose records are given the fields of ours."""

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


def find(name: str, data_dir: Path) -> Path:
    """Return the newest prepared version.

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


def join(source: Any, name: str, boxes: str | Path | None) -> JoinedSource:
    """Give a data source's records our fields, with the boxes of a list if there is one.

    Raises:
        ValueError: the list cannot be read, or names none of the images.
    """
    listed = box_lists.read_boxes(boxes) if boxes else {}
    joined = JoinedSource(source, NAMES[name], {PurePosixPath(key).stem: box for key, box in listed.items()})
    if listed and not any(len(joined[index]["boxes_xyxy"]) for index in range(min(len(joined), 100))):
        raise ValueError(f"{boxes}: none of the first 100 images of {name} is in this box list")
    return joined

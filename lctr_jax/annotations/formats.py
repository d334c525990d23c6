"""The annotation formats by name, written from a finished `predictions.jsonl`."""

from collections.abc import Collection, Sequence
from pathlib import Path

from lctr_jax.annotations.annotated_image import read_annotated_images
from lctr_jax.annotations.box_table import write_box_table
from lctr_jax.annotations.coco import write_coco
from lctr_jax.annotations.label_studio import write_label_studio
from lctr_jax.annotations.voc import write_voc
from lctr_jax.annotations.yolo import write_yolo

FORMATS = ("coco", "yolo", "voc", "labelstudio", "csv")


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse `coco,yolo,...`.

    Raises:
        ValueError: a format is unknown.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in FORMATS]:
        raise ValueError(f"--annotations: got {unknown[0]!r}, expected a list from {','.join(FORMATS)}")
    return names


def write_annotations(
    folder: Path, predictions: Path, *, formats: Collection[str], class_names: Sequence[str]
) -> list[Path]:
    """Write the boxes of `predictions.jsonl` in the given formats, and return the written paths.

    Annotations are made from the file after prediction, so they are complete even if prediction was
    interrupted and resumed.

    Raises:
        ValueError: a line of `predictions` cannot be read.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in FORMATS:
        if name not in formats:
            continue
        images = read_annotated_images(predictions)
        match name:
            case "coco":
                path = folder / "coco.json"
                write_coco(path, images, class_names=class_names)
            case "yolo":
                path = folder / "yolo"
                write_yolo(path, images, class_names=class_names)
            case "voc":
                path = folder / "voc"
                write_voc(path, images)
            case "labelstudio":
                path = folder / "labelstudio.json"
                write_label_studio(path, images, class_names=class_names)
            case _:
                path = folder / "boxes.csv"
                write_box_table(path, images)
        written.append(path)
    return written

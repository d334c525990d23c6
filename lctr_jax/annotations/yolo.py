"""YOLO's detection format: `data.yaml`, `images/` and `labels/`, as Ultralytics reads it."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lctr_jax.annotations.annotated_image import AnnotatedBox, AnnotatedImage, with_stems


def write_yolo(folder: Path, images: Iterable[AnnotatedImage], *, class_names: Sequence[str]) -> None:
    """Write `data.yaml`, one text file per image in `labels/`, and the images in `images/`.

    A line of a label file is `class center_x center_y width height`, relative to the image's size.
    Ultralytics finds labels by replacing `images` with `labels` in an image's path, so the images must be
    there: as symbolic links, or copies if the file system does not support links. An image without boxes gets
    an empty label file, which means background.
    """
    for image, stem in with_stems(images):
        label_file = folder / "labels" / f"{stem}.txt"
        label_file.parent.mkdir(parents=True, exist_ok=True)
        label_file.write_text("".join(f"{_line(box, image)}\n" for box in image.boxes), encoding="utf-8")
        _link(image.source, folder / "images" / f"{stem}{Path(image.file).suffix}")
    # JSON strings are valid YAML strings, so names need no further quoting.
    names = "".join(
        f"  {label}: {json.dumps(name, ensure_ascii=False)}\n" for label, name in enumerate(class_names)
    )
    root = json.dumps(str(folder.resolve()), ensure_ascii=False)
    (folder / "data.yaml").write_text(
        f"path: {root}\ntrain: images\nval: images\nnames:\n{names}", encoding="utf-8"
    )


def _line(box: AnnotatedBox, image: AnnotatedImage) -> str:
    x0, y0, x1, y1 = box.box_xyxy
    shares = (
        (x0 + x1) / 2 / image.width,
        (y0 + y1) / 2 / image.height,
        (x1 - x0) / image.width,
        (y1 - y0) / image.height,
    )
    return f"{box.label} " + " ".join(f"{share:.6f}" for share in shares)


def _link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.symlink(source.resolve(), place)
    except OSError:
        shutil.copyfile(source, place)

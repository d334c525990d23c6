"""COCO's object detection JSON (Lin et al., ECCV 2014; cocodataset.org, "Data format")."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lctr_jax.annotations.annotated_image import AnnotatedBox, AnnotatedImage


def write_coco(path: Path, images: Iterable[AnnotatedImage], *, class_names: Sequence[str]) -> None:
    """Write one JSON file, image by image, so that memory does not grow with their number.

    Ids start at 1, in the order of `images`; a class's id is its index + 1. Every annotation also contains
    the box's `score`, which COCO's own tools ignore.
    """
    categories = [
        {"id": label + 1, "name": name, "supercategory": "object"} for label, name in enumerate(class_names)
    ]
    entries = path.with_suffix(".annotations.tmp")
    annotation_id = 0
    try:
        with path.open("w", encoding="utf-8") as file, entries.open("w", encoding="utf-8") as boxes:
            file.write('{"info": {"description": "boxes predicted by lctr_jax"},\n"categories": ')
            file.write(json.dumps(categories) + ',\n"images": [')
            for image_id, image in enumerate(images, start=1):
                entry = {
                    "id": image_id,
                    "file_name": image.file,
                    "width": image.width,
                    "height": image.height,
                }
                file.write(("," if image_id > 1 else "") + "\n" + json.dumps(entry))
                for box in image.boxes:
                    annotation_id += 1
                    annotation = _annotation(box, annotation_id=annotation_id, image_id=image_id)
                    boxes.write(("," if annotation_id > 1 else "") + "\n" + json.dumps(annotation))
            file.write('],\n"annotations": [')
            boxes.close()
            with entries.open(encoding="utf-8") as lines:
                file.writelines(lines)
            file.write("]}\n")
    finally:
        entries.unlink(missing_ok=True)


def _annotation(box: AnnotatedBox, *, annotation_id: int, image_id: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box.box_xyxy
    # A polygon needs three points; otherwise the box is used as the outline.
    outlines = [polygon for polygon in box.polygons if len(polygon) >= 6] or [
        (x0, y0, x1, y0, x1, y1, x0, y1)
    ]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": box.label + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": sum(_area(polygon) for polygon in outlines),
        "segmentation": [list(polygon) for polygon in outlines],
        "iscrowd": 0,
        "score": box.score,
    }


def _area(polygon: Sequence[float]) -> float:
    """Compute the area of a polygon in square pixels by the shoelace formula."""
    xs, ys = polygon[::2], polygon[1::2]
    crossed = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return abs(crossed) / 2

"""Boxes as CSV with a header, one row per box."""

import csv
from collections.abc import Iterable
from pathlib import Path

from lctr_jax.annotations.annotated_image import AnnotatedImage

CSV_COLUMNS = ("file", "width", "height", "label", "name", "score", "x0", "y0", "x1", "y1")


def write_box_table(path: Path, images: Iterable[AnnotatedImage]) -> None:
    """Write the boxes of all images; an image without boxes has no row."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(CSV_COLUMNS)
        for image in images:
            for box in image.boxes:
                facts = (image.file, image.width, image.height, box.label, box.name, f"{box.score:.6f}")
                rows.writerow((*facts, *box.box_xyxy))

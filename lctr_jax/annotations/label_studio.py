"""Label Studio tasks with predictions (labelstud.io, "Import pre-annotated data")."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from lctr_jax.annotations.annotated_image import AnnotatedBox, AnnotatedImage

_CONTROL, _IMAGE = "label", "image"  # names of the two tags in the labeling interface


def write_label_studio(path: Path, images: Iterable[AnnotatedImage], *, class_names: Sequence[str]) -> None:
    """Write the tasks, and next to them the matching labeling interface, `PATH` with the suffix `.xml`.

    Image addresses use Label Studio's local file serving, relative to LOCAL_FILES_DOCUMENT_ROOT, which must
    be the folder that was searched for images.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, image in enumerate(images):
            file.write(("," if number else "") + "\n" + json.dumps(_task(image)))
        file.write("]\n")
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in class_names)
    path.with_suffix(".xml").write_text(
        f'<View>\n  <Image name="{_IMAGE}" value="$image"/>\n'
        f'  <RectangleLabels name="{_CONTROL}" toName="{_IMAGE}">\n{labels}  </RectangleLabels>\n</View>\n',
        encoding="utf-8",
    )


def _task(image: AnnotatedImage) -> dict[str, Any]:
    results = [_result(box, image, number=number) for number, box in enumerate(image.boxes)]
    scores = [box.score for box in image.boxes]
    prediction = {"model_version": "lctr_jax", "score": max(scores, default=0.0), "result": results}
    return {
        "data": {"image": f"/data/local-files/?d={quote(image.file, errors='surrogateescape')}"},
        "predictions": [prediction],
    }


def _result(box: AnnotatedBox, image: AnnotatedImage, *, number: int) -> dict[str, Any]:
    """Return one rectangle, in percent of the image as Label Studio expects."""
    x0, y0, x1, y1 = box.box_xyxy
    value = {
        "x": 100 * x0 / image.width,
        "y": 100 * y0 / image.height,
        "width": 100 * (x1 - x0) / image.width,
        "height": 100 * (y1 - y0) / image.height,
        "rotation": 0,
        "rectanglelabels": [box.name],
    }
    return {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": _CONTROL,
        "to_name": _IMAGE,
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "score": box.score,
        "value": value,
    }

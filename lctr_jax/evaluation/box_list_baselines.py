"""Accuracy of content-free predictors on a box list."""

from typing import Any

import numpy as np
from jaxtyping import Num

from lctr_jax.data.geometry import Geometry
from lctr_jax.localization.content_free import ContentFree
from lctr_jax.localization.protocols import get_protocol

CHUNK = 4096
"""Number of images processed at once, to bound memory."""


def measure_list(
    boxes: dict[str, Num[np.ndarray, "boxes 4"]],
    sizes: dict[str, tuple[int, int]],
    *,
    protocol: str,
    image_size: int = 224,
    first_box_only: bool = False,
) -> dict[str, Any]:
    """Measure the content-free predictors' accuracies on a box list.

    Args:
        boxes: true boxes by image, in pixels of the original image.
        sizes: width and height in pixels by image.
        protocol: "wsoleval" or "lctr".
        image_size: side of the frame in pixels.
        first_box_only: compare only with the first box of an image.

    Returns:
        The settings and, under `baselines`, the accuracies in percent.

    Raises:
        ValueError: the size of an image is unknown, or no image has a box.
    """
    _check_sizes(boxes, sizes)
    geometry = Geometry(protocol=get_protocol(protocol).name, image_size=image_size)
    predictors = ContentFree(get_protocol(protocol), image_size=image_size, first_box_only=first_box_only)
    names = list(boxes)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        framed = [
            geometry.boxes_to_frame(boxes[name], width=sizes[name][0], height=sizes[name][1])
            for name in chunk
        ]
        predictors.add(np.concatenate(framed), np.array([len(truth) for truth in framed]))
    return {
        "protocol": protocol,
        "image_size": image_size,
        "first_box_only": first_box_only,
        "num_images": int(predictors.sums().images),
        "baselines": predictors.summarize(),
    }


def _check_sizes(boxes: dict[str, np.ndarray], sizes: dict[str, tuple[int, int]]) -> None:
    unknown = [name for name in boxes if name not in sizes]
    if unknown:
        raise ValueError(
            f"image sizes: none for {len(unknown)} of the list's {len(boxes)} images, first {unknown[0]!r}; "
            "expected a line `path,width,height` for each, spelled as in the list"
        )
    if not any(len(truth) for truth in boxes.values()):
        raise ValueError("box list: no image has a box")

"""Parts of a prediction as separate files: crops, masks and score maps.

| part | file | content |
|---|---|---|
| crops | `crops/STEM_1.jpg`, `STEM_2.jpg`, ... | the image inside each box, in the order of `boxes` |
| masks | `masks/STEM.png` | 255 in the boxed regions, 0 elsewhere, in the image's size |
| maps | `maps/FILE.npy` | the score map as wsoleval's evaluator reads it: float64 in [0, 1], 224 x 224 |

STEM is the image's path without its suffix, FILE with it. If several classes are localized, masks and maps
are in a folder per class, named by its index.
"""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from lctr_jax.inference.result import BoxedClass, Prediction
from lctr_jax.localization.maps import resize_map
from lctr_jax.localization.protocols import WSOLEVAL_PROTOCOL
from lctr_jax.report.prediction_options import PARTS

MAP_SIDE = 224
"""Side of the maps in pixels, to which wsoleval's evaluator scales true boxes (`_RESIZE_LENGTH`)."""

_QUALITY = 92  # of the crops' JPEG
_LONGEST = 251  # bytes of a name to which a suffix of four can be added


def parse_parts(text: str, *, geometry: str) -> tuple[str, ...]:
    """Parse `crops,masks,...`.

    Raises:
        ValueError: a part is unknown, or maps are requested in a geometry that crops the image.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in PARTS]:
        raise ValueError(f"--save: got {unknown[0]!r}, expected some of {','.join(PARTS)}")
    if "maps" in names and geometry != "wsoleval":
        raise ValueError(f"--save maps: got --geometry {geometry}, expected wsoleval (whole images)")
    return names


def save_parts(
    folder: Path, prediction: Prediction, *, file: str, stem: str, parts: Collection[str], by_class: bool
) -> dict[str, list[str]]:
    """Write the parts to `folder`, and return their paths relative to it, by part."""
    saved: dict[str, list[str]] = {}
    if "crops" in parts:
        crops = [f"crops/{stem}_{number}.jpg" for number in range(1, len(prediction.found) + 1)]
        for boxed, crop in zip(prediction.found, crops, strict=True):
            crop_image(prediction, boxed).save(_place(folder, crop), quality=_QUALITY)
        saved["crops"] = crops
    for part in ("masks", "maps"):
        if part not in parts:
            continue
        saved[part] = []
        for label in dict.fromkeys(boxed.ranked.label for boxed in prediction.boxed):
            below = f"{part}/{label}" if by_class else part
            of_class = [boxed for boxed in prediction.boxed if boxed.ranked.label == label]
            if part == "masks":
                name = f"{below}/{stem}.png"
                Image.fromarray(class_mask(prediction, of_class)).save(_place(folder, name))
            else:
                name = f"{below}/{file if len(os.fsencode(Path(file).name)) <= _LONGEST else stem}.npy"
                np.save(_place(folder, name), score_map(of_class[0]))
            saved[part].append(name)
    return saved


def crop_image(prediction: Prediction, boxed: BoxedClass) -> Image.Image:
    """Crop the image to a box, rounded to whole pixels, at least one."""
    height, width = prediction.image.shape[:2]
    x0, y0, x1, y1 = np.round(boxed.box_xyxy).astype(int).tolist()
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return Image.fromarray(prediction.image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])


def class_mask(prediction: Prediction, boxes: Collection[BoxedClass]) -> UInt8[np.ndarray, "height width"]:
    """Return a mask with 255 inside the regions of these boxes, 0 elsewhere."""
    masks = [prediction.mask(boxed) for boxed in boxes]
    return np.any(masks, axis=0).astype(np.uint8) * 255


def score_map(boxed: BoxedClass) -> Float[np.ndarray, "side side"]:
    """Return the class's map of the whole image, resized and scaled by wsoleval's rule; zeros if flat."""
    return resize_map(boxed.score_map, protocol=WSOLEVAL_PROTOCOL, image_size=MAP_SIDE).astype(np.float64)


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

"""IoU of a network's boxes with true boxes at every threshold, for images with a box list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import RgbPixels
from lctr_jax.inference.localizer import Localizer
from lctr_jax.localization.boxes import best_iou
from lctr_jax.localization.measurement import sweep_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL


@dataclass(frozen=True)
class TrueImage:
    """An RGB image, its unique name, its true boxes in pixels, and the class to localize, if given."""

    name: str
    image: RgbPixels
    boxes_xyxy: Float[np.ndarray, "boxes 4"]
    label: int | None = None


@dataclass(frozen=True)
class MeasuredMap:
    """An image's map as gray levels, and the IoU of its box at every cut; 0 if nothing is above the cut."""

    name: str
    levels: UInt8[np.ndarray, "side side"]
    iou_by_cut: Float[np.ndarray, " cuts"]


def measure_maps(
    localizer: Localizer, images: Iterable[TrueImage], *, geometry: Geometry
) -> Iterator[MeasuredMap]:
    """Measure each map as prediction boxes it: the largest region's box, compared with the best true box.

    Raises:
        NotFiniteError: the network's output for an image is not finite.
    """
    batch: list[TrueImage] = []
    for image in images:
        batch.append(image)
        if len(batch) == localizer.batch_size:
            yield from _measure_batch(localizer, batch, geometry)
            batch = []
    if batch:
        yield from _measure_batch(localizer, batch, geometry)


def _measure_batch(localizer: Localizer, batch: list[TrueImage], geometry: Geometry) -> Iterator[MeasuredMap]:
    predictions = localizer([true.image for true in batch], [true.label for true in batch])
    for true, prediction in zip(batch, predictions, strict=True):
        sweep = sweep_map(prediction.localization_map, protocol=LCTR_PROTOCOL, image_size=geometry.image_size)
        height, width = true.image.shape[:2]
        truth = geometry.boxes_to_frame(true.boxes_xyxy, width=width, height=height)
        iou_by_cut = best_iou(sweep.boxes_xyxy, truth, closed=LCTR_PROTOCOL.closed)
        found = sweep.levels.max() > np.arange(len(iou_by_cut))
        yield MeasuredMap(true.name, sweep.levels, iou_by_cut * found)

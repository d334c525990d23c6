"""Localization as one call: images in, a list of predictions out."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from lctr_jax.data.geometry import Geometry, GeometryProtocol
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.localizer import BoxMode, Localizer
from lctr_jax.inference.result import NotFiniteError, Prediction
from lctr_jax.inference.sources import ImageSource, read_sources
from lctr_jax.inference.threshold import resolve_threshold


def localize(
    model: LoadedModel,
    images: ImageSource | Sequence[ImageSource],
    *,
    threshold: float | None = None,
    geometry: GeometryProtocol = "wsoleval",
    classes: Sequence[str] = (),
    top: int = 1,
    boxes: BoxMode = "largest",
    min_area: float = 0.0,
    batch_size: int = 16,
) -> list[Prediction]:
    """Localize in one image or several, as `lctr_jax.predict` does.

    Args:
        model: the network.
        images: one or several of PIL images, uint8 arrays [height, width, 3], paths of images or folders.
        threshold: share of a map's maximum; by default chosen as by `lctr_jax.predict`.
        geometry: "wsoleval" for the whole image, "lctr" for its center crop.
        classes: names or indices of the classes to localize instead of the predicted one.
        top: number of most likely classes to localize, if `classes` is empty.
        boxes: "largest", one box per class, or "all", one per region.
        min_area: leave out regions smaller than this share of the image.
        batch_size: images per forward pass; a single image is always computed alone.

    Returns:
        One `Prediction` per image, including its pixels; `path` is the file it was read from, if any.

    Raises:
        FileNotFoundError: there is no such file or folder.
        NotFiniteError: the network's output for an image contains NaN or infinity.
        TypeError: an image has an unsupported type.
        ValueError: an image is damaged or has the wrong shape, or an option is out of range.
    """
    sources = read_sources(images)
    first = list(itertools.islice(sources, batch_size))
    localizer = Localizer(
        model,
        geometry=Geometry(protocol=geometry, image_size=model.spec.image_size),
        threshold=resolve_threshold(threshold, model.folder).rule,
        classes=classes,
        top=top,
        boxes=boxes,
        min_area=min_area,
        batch_size=1 if len(first) == 1 else batch_size,
    )
    predictions: list[Prediction] = []
    batch = first
    while batch:
        results = localizer.localize_each([image for _, image in batch])
        for (path, _), result in zip(batch, results, strict=True):
            if isinstance(result, NotFiniteError):
                raise NotFiniteError(f"{path or f'images[{len(predictions)}]'}: {result}")
            predictions.append(replace(result, path=path))
        batch = list(itertools.islice(sources, batch_size))
    return predictions

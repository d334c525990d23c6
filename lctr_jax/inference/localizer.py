"""Localization with a loaded network: photographs in; classes, boxes and maps out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import RgbPixels
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.result import BoxedClass, NotFiniteError, Prediction, RankedClass
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.regions import Region, find_regions
from lctr_jax.localization.threshold_rules import MapRule
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.normalization import normalize
from lctr_jax.models.output import Output

BoxMode = Literal["largest", "all"]


class Localizer:
    """Localizes the predicted class of each image, or other classes.

    A box is the bounding rectangle of a connected region of the class's map above the threshold, in pixels of
    the image. That of the largest region is the box of the `lctr` protocol.

    Args:
        model: the network.
        geometry: how an image becomes the network's square input.
        threshold: fraction of a map's maximum above which a pixel is foreground, or a rule that gives each
            map its own (`localization.threshold_rules`).
        classes: names or indices of the classes to localize in every image, instead of the predicted one.
        top: number of most likely classes to localize, if `classes` is empty.
        boxes: "largest" gives one box per class, of its largest region; "all" gives one per region.
        min_area: ignore regions smaller than this share of the network's input.
        batch_size: images per forward pass.

    Raises:
        ValueError: a class is unknown, or a number is out of range.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        geometry: Geometry,
        threshold: Threshold | MapRule,
        classes: Sequence[str] = (),
        top: int = 1,
        boxes: BoxMode = "largest",
        min_area: float = 0.0,
        batch_size: int = 16,
    ):
        if batch_size < 1:
            raise ValueError(f"batch size: got {batch_size}, expected 1 or more")
        if not 1 <= top <= model.spec.num_classes:
            raise ValueError(f"top: got {top}, expected 1 to {model.spec.num_classes}, the network's classes")
        if not 0 <= min_area < 1:
            raise ValueError(f"min_area: got {min_area}, expected a share of the image in [0, 1)")
        self._model, self._threshold = model, threshold
        self.geometry = geometry
        self._asked = [self.label(name) for name in classes]
        self._top, self._boxes, self._min_area = top, boxes, min_area
        self.batch_size = batch_size

    def __call__(
        self, images: Sequence[RgbPixels], labels: Sequence[int | None] | None = None
    ) -> list[Prediction]:
        """Localize in up to `batch_size` RGB images of any size, as uint8 arrays [height, width, 3].

        Args:
            images: the images.
            labels: one class per image to localize instead; None stands for the predicted class.

        Raises:
            NotFiniteError: the network's output for an image contains NaN or infinity.
        """
        results = self.localize_each(images, labels)
        for number, result in enumerate(results):
            if isinstance(result, NotFiniteError):
                raise NotFiniteError(f"images[{number}]: {result}")
        return [result for result in results if isinstance(result, Prediction)]

    def localize_each(
        self, images: Sequence[RgbPixels], labels: Sequence[int | None] | None = None
    ) -> list[Prediction | NotFiniteError]:
        """Localize like `__call__`, but return the error for an image instead of raising it."""
        return self.start(images, labels)()

    def start(
        self, images: Sequence[RgbPixels], labels: Sequence[int | None] | None = None
    ) -> Callable[[], list[Prediction | NotFiniteError]]:
        """Start the network without waiting; the returned function waits for it and returns the results.

        The devices can then compute a batch while the host makes the boxes of the previous one.
        """
        size = self.geometry.image_size
        frames = np.zeros((self.batch_size, size, size, 3), np.uint8)
        for row, image in enumerate(images):
            frames[row] = self.geometry.transform_image(image)
        normalized = normalize(jnp.asarray(frames))
        asked = self._asked_classes(normalized, labels)
        running = self._model(normalized, asked)
        return lambda: self._finish(images, running, asked)

    def _finish(
        self, images: Sequence[RgbPixels], running: Output, asked: Int[np.ndarray, "batch asked"]
    ) -> list[Prediction | NotFiniteError]:
        output: Any = jax.device_get(running)
        finite = _finite_rows(output)
        probabilities = np.asarray(jax.nn.softmax(output.logits))
        asked = np.where(asked < 0, output.logits.argmax(-1)[:, None], asked)
        return [
            self._prediction(image, output, row, probabilities[row], asked[row].tolist())
            if finite[row]
            else NotFiniteError("the network's output is not finite (NaN or infinity), so there is no box")
            for row, image in enumerate(images)
        ]

    def _asked_classes(
        self, images: Array, labels: Sequence[int | None] | None
    ) -> Int[np.ndarray, "batch asked"]:
        """Return the classes to localize, -1 for the predicted one."""
        if labels is not None:
            asked = np.full((self.batch_size, 1), -1, np.int32)
            asked[: len(labels), 0] = [-1 if label is None else label for label in labels]
            return asked
        if self._asked:
            return np.tile(np.array(self._asked, np.int32), (self.batch_size, 1))
        if self._top == 1:
            return np.full((self.batch_size, 1), -1, np.int32)
        logits = np.asarray(self._model(images).logits)
        return np.argsort(-logits, axis=-1, kind="stable")[:, : self._top].astype(np.int32)

    def _prediction(
        self, image: RgbPixels, output: Any, row: int, probability: np.ndarray, labels: list[int]
    ) -> Prediction:
        ranked = np.argsort(-probability, kind="stable")[:5].tolist()
        maps = output.localization_map[row]
        size = float(self.geometry.image_size)
        region_xyxy = self._to_original(np.array([[0.0, 0.0, size, size]]), image)[0]
        boxed = []
        for label, score_map in zip(labels, maps, strict=True):
            ranked_class = self._ranked(label, probability)
            tau, regions = self._regions(score_map)
            nothing = BoxedClass(ranked_class, region_xyxy, found=False, threshold=tau, score_map=score_map)
            boxed += [self._boxed(nothing, region, image) for region in regions] or [nothing]
        return Prediction(
            image=image,
            top=[self._ranked(label, probability) for label in ranked],
            boxed=boxed,
            region_xyxy=region_xyxy,
            relation_map=output.relation_map[row],
            class_map=output.class_map[row][0],
            localization_map=maps[0],
        )

    def _regions(self, score_map: np.ndarray) -> tuple[float, Sequence[Region]]:
        """Return the map's threshold and its regions."""
        levels = quantize_map(
            resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=self.geometry.image_size)
        )
        threshold = self._threshold if isinstance(self._threshold, Threshold) else self._threshold(levels)
        regions = find_regions(levels, cut=threshold.cut, min_area=self._min_area)
        return threshold.tau, regions if self._boxes == "all" else regions[:1]

    def _boxed(self, nothing: BoxedClass, region: Region, image: RgbPixels) -> BoxedClass:
        corners = np.concatenate([region.outline, region.outline], axis=1)
        return nothing._replace(
            box_xyxy=self._to_original(region.box_xyxy[None].astype(np.float64), image)[0],
            found=True,
            score=nothing.ranked.probability * region.strength,
            outline=self._to_original(corners, image)[:, :2],
            region=region,
        )

    def _to_original(self, boxes_xyxy: np.ndarray, image: RgbPixels) -> np.ndarray:
        height, width = image.shape[:2]
        return self.geometry.boxes_to_original(boxes_xyxy, width=width, height=height)

    def _ranked(self, label: int, probability: np.ndarray) -> RankedClass:
        names = self._model.class_names
        name = str(label) if names is None else names[label]
        return RankedClass(label, name, float(probability[label]))

    def label(self, name: str) -> int:
        """Return the index of a class given by name or index.

        Raises:
            ValueError: the network has no such class.
        """
        names = self._model.class_names or ()
        if name in names:
            return names.index(name)
        num_classes = self._model.spec.num_classes
        if name.isdecimal() and int(name) < num_classes:
            return int(name)
        known = f"names such as {names[0]!r}, or " if names else ""
        raise ValueError(f"classes: got {name!r}, expected {known}numbers from 0 to {num_classes - 1}")


def _finite_rows(output: Output) -> Bool[np.ndarray, " batch"]:
    """Return which images have finite logits and maps."""
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy would warn about the non-finite products
        parts = (output.logits, output.relation_map, output.class_map, output.localization_map)
        return np.all([np.isfinite(part).reshape(len(part), -1).all(1) for part in parts], axis=0)


def folder_label(path: Path, class_names: Sequence[str] | None) -> int | None:
    """Return the index of the class named by an image's folder; None if it is not a class."""
    folder = path.absolute().parent.name
    return class_names.index(folder) if class_names and folder in class_names else None

"""Localization with a loaded network: photographs in; classes, boxes and maps out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from PIL import Image

from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.result import BoxedClass, Prediction, RankedClass
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.regions import Region, find_regions
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.normalization import normalize

BoxMode = Literal["largest", "all"]


class Localizer:
    """Localizes the predicted class of each image, or other classes.

    A box is the bounding rectangle of a connected region of the class's map above the threshold, in pixels of
    the image. That of the largest region is the box of the `lctr` protocol.

    Args:
        model: the network.
        geometry: how an image becomes the network's square input.
        threshold: fraction of a map's maximum above which a pixel is foreground.
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
        threshold: Threshold,
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
        self._model, self._geometry, self._threshold = model, geometry, threshold
        self._asked = [self.label(name) for name in classes]
        self._top, self._boxes, self._min_area = top, boxes, min_area
        self.batch_size = batch_size

    def __call__(
        self, images: Sequence[Image.Image], labels: Sequence[int | None] | None = None
    ) -> list[Prediction]:
        """Localize in up to `batch_size` RGB images of any size.

        Args:
            images: the images.
            labels: one class per image to localize instead; None stands for the predicted class.
        """
        size = self._geometry.image_size
        frames = np.zeros((self.batch_size, size, size, 3), np.uint8)
        for row, image in enumerate(images):
            frames[row] = self._geometry.transform_image(image)
        normalized = normalize(jnp.asarray(frames))
        asked = self._asked_classes(normalized, labels)
        output: Any = jax.device_get(self._model(normalized, asked))
        probabilities = np.asarray(jax.nn.softmax(output.logits))
        asked = np.where(asked < 0, output.logits.argmax(-1)[:, None], asked)
        return [
            self._prediction(image, output, row, probabilities[row], asked[row].tolist())
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
        self, image: Image.Image, output: Any, row: int, probability: np.ndarray, labels: list[int]
    ) -> Prediction:
        ranked = np.argsort(-probability, kind="stable")[:5].tolist()
        maps = output.localization_map[row]
        size = float(self._geometry.image_size)
        region_xyxy = self._to_original(np.array([[0.0, 0.0, size, size]]), image)[0]
        boxed = []
        for label, score_map in zip(labels, maps, strict=True):
            ranked_class = self._ranked(label, probability)
            regions = self._regions(score_map)
            boxed += [self._boxed(ranked_class, region, image) for region in regions] or [
                BoxedClass(ranked_class, region_xyxy, found=False)
            ]
        return Prediction(
            image=np.asarray(image),
            top=[self._ranked(label, probability) for label in ranked],
            boxed=boxed,
            region_xyxy=region_xyxy,
            relation_map=output.relation_map[row],
            class_map=output.class_map[row][0],
            localization_map=maps[0],
        )

    def _regions(self, score_map: np.ndarray) -> Sequence[Region]:
        frame = resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=self._geometry.image_size)
        regions = find_regions(quantize_map(frame), cut=self._threshold.cut, min_area=self._min_area)
        return regions if self._boxes == "all" else regions[:1]

    def _boxed(self, ranked: RankedClass, region: Region, image: Image.Image) -> BoxedClass:
        corners = np.concatenate([region.outline, region.outline], axis=1)
        return BoxedClass(
            ranked,
            self._to_original(region.box_xyxy[None].astype(np.float64), image)[0],
            found=True,
            score=ranked.probability * region.strength,
            outline=self._to_original(corners, image)[:, :2],
        )

    def _to_original(self, boxes_xyxy: np.ndarray, image: Image.Image) -> np.ndarray:
        return self._geometry.boxes_to_original(boxes_xyxy, width=image.width, height=image.height)

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


def folder_label(path: Path, class_names: Sequence[str] | None) -> int | None:
    """Return the index of the class named by an image's folder; None if it is not a class."""
    folder = path.absolute().parent.name
    return class_names.index(folder) if class_names and folder in class_names else None

"""A loaded network as a localizer: photographs in, classes, boxes and maps out."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.result import BoxedClass, Prediction, RankedClass
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import LCTR
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.normalization import normalize


class Localizer:
    """Boxes one class an image, the predicted one, or the same `classes` in every image.

    A box is the bounding rectangle of the largest region of the class's map above the threshold, by the
    `lctr` protocol's rules, mapped back to the image; the whole frame where nothing is above it.

    Raises:
        ValueError: a class is not the network's, or the batch size is not positive.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        geometry: Geometry,
        threshold: Threshold,
        classes: Sequence[str] = (),
        batch_size: int = 16,
    ):
        if batch_size < 1:
            raise ValueError(f"batch size: got {batch_size}, expected 1 or more")
        self._model, self._geometry, self._threshold = model, geometry, threshold
        self._asked = [self._label(name) for name in classes]
        self.batch_size = batch_size

    def __call__(self, images: Sequence[Image.Image]) -> list[Prediction]:
        """Localize in up to `batch_size` RGB images of any size; one compiled shape serves them all."""
        size = self._geometry.image_size
        frames = np.zeros((self.batch_size, size, size, 3), np.uint8)
        for row, image in enumerate(images):
            frames[row] = self._geometry.transform_image(image)
        asked = np.tile(np.array(self._asked, np.int32), (self.batch_size, 1)) if self._asked else None
        output: Any = jax.device_get(self._model(normalize(jnp.asarray(frames)), asked))
        probabilities = np.asarray(jax.nn.softmax(output.logits))
        return [self._prediction(image, output, row, probabilities[row]) for row, image in enumerate(images)]

    def _prediction(self, image: Image.Image, output: Any, row: int, probability: np.ndarray) -> Prediction:
        ranked = np.argsort(-probability, kind="stable")[:5].tolist()
        labels = self._asked or ranked[:1]
        class_maps, maps = (
            np.reshape(each[row], (len(labels), *output.relation_map.shape[1:]))
            for each in (output.class_map, output.localization_map)
        )
        found = (np.ptp(maps, axis=(1, 2)) > 0).tolist()
        boxes = self._to_original(np.stack([self._box(score_map) for score_map in maps]), image)
        size = float(self._geometry.image_size)
        return Prediction(
            image=np.asarray(image),
            top=[self._ranked(label, probability) for label in ranked],
            boxed=[
                BoxedClass(self._ranked(label, probability), box_xyxy, is_found)
                for label, box_xyxy, is_found in zip(labels, boxes, found, strict=True)
            ],
            region_xyxy=self._to_original(np.array([[0.0, 0.0, size, size]]), image)[0],
            relation_map=output.relation_map[row],
            class_map=class_maps[0],
            localization_map=maps[0],
        )

    def _to_original(self, boxes_xyxy: np.ndarray, image: Image.Image) -> np.ndarray:
        return self._geometry.boxes_to_original(boxes_xyxy, width=image.width, height=image.height)

    def _ranked(self, label: int, probability: np.ndarray) -> RankedClass:
        names = self._model.class_names
        name = str(label) if names is None else names[label]
        return RankedClass(label, name, float(probability[label]))

    def _box(self, score_map: np.ndarray) -> np.ndarray:
        boxes = boxes_by_cut(score_map, protocol=LCTR, image_size=self._geometry.image_size)
        return boxes[self._threshold.cut].astype(np.float64)

    def _label(self, name: str) -> int:
        names = self._model.class_names or ()
        if name in names:
            return names.index(name)
        num_classes = self._model.spec.num_classes
        if name.isdecimal() and int(name) < num_classes:
            return int(name)
        known = f"names such as {names[0]!r}, or " if names else ""
        raise ValueError(f"classes: got {name!r}, expected {known}numbers from 0 to {num_classes - 1}")

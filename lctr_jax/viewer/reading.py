"""The network's complete output for one image, from which the demo page is drawn without running it again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from lctr_jax.data.geometry import Geometry
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.thresholds import Threshold

MAX_PHOTO_SIDE = 960
"""Longest side of the photograph in the page, in pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """An image with the probability and map of every class, and hence its box at every threshold.

    Boxes follow the `lctr` protocol's rules, like those of `lctr_jax.predict`.

    Attributes:
        photo: the image, reduced for display, since every open page keeps a reading.
        width: of the original image in pixels.
        height: of the original image in pixels.
        geometry: how the image became the network's input.
        class_names: one per class.
        probability: of each class.
        relation_map: see `models.output.Output`.
        class_maps: of each class.
        localization_maps: of each class.
    """

    photo: UInt8[np.ndarray, "rows columns 3"]
    width: int
    height: int
    geometry: Geometry
    class_names: Sequence[str]
    probability: Float32[np.ndarray, " classes"]
    relation_map: Float32[np.ndarray, "grid_h grid_w"]
    class_maps: Float32[np.ndarray, "classes grid_h grid_w"]
    localization_maps: Float32[np.ndarray, "classes grid_h grid_w"]

    @property
    def ranking(self) -> list[int]:
        """All classes, most likely first."""
        return np.argsort(-self.probability, kind="stable").tolist()

    def found(self, label: int) -> bool:
        """Return whether the class's map has anything to box (false for a flat map)."""
        return bool(self.levels(label).any())

    def box_xyxy(self, label: int, threshold: Threshold) -> Float[np.ndarray, "4"]:
        """Return the class's box in pixels of the image."""
        boxes = boxes_by_cut(
            self._score_map(label), protocol=LCTR_PROTOCOL, image_size=self.geometry.image_size
        )
        return self._to_original(boxes[threshold.cut].astype(np.float64))

    def foreground(self, label: int, threshold: Threshold) -> Bool[np.ndarray, "side side"]:
        """Return the mask of the class's map above the threshold, in the network's frame."""
        return self.levels(label) > threshold.cut

    @property
    def region_xyxy(self) -> Float[np.ndarray, "4"]:
        """The part of the image that the network saw, in pixels of the image."""
        side = float(self.geometry.image_size)
        return self._to_original(np.array([0.0, 0.0, side, side]))

    def levels(self, label: int) -> UInt8[np.ndarray, "side side"]:
        """Return the class's map in the frame as gray levels, to which thresholds apply."""
        return quantize_map(
            resize_map(self._score_map(label), protocol=LCTR_PROTOCOL, image_size=self.geometry.image_size)
        )

    def _score_map(self, label: int) -> Float32[np.ndarray, "grid_h grid_w"]:
        return self.localization_maps[label]

    def _to_original(self, box_xyxy: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        return self.geometry.boxes_to_original(box_xyxy[None], width=self.width, height=self.height)[0]

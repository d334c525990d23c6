"""What a network said of one image, whole: the page is drawn from it, and the network is not asked again."""

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
"""Longest side of the photograph in the page, pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """An image with every class's probability and map, and so its box at every threshold.

    `class_names` is one a class. `photo` is the image of `width` x `height` pixels, reduced to what the page
    shows, since every open page keeps a reading. Boxes follow the `lctr` protocol's rules, as
    `lctr_jax.predict`'s do.
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
        """All classes, the most likely first."""
        return np.argsort(-self.probability, kind="stable").tolist()

    def found(self, label: int) -> bool:
        """Whether the class's map has anything to box: False where it is flat."""
        return bool(self.levels(label).any())

    def box_xyxy(self, label: int, threshold: Threshold) -> Float[np.ndarray, "4"]:
        """The class's box in the image's pixels."""
        boxes = boxes_by_cut(
            self._score_map(label), protocol=LCTR_PROTOCOL, image_size=self.geometry.image_size
        )
        return self._to_original(boxes[threshold.cut].astype(np.float64))

    def foreground(self, label: int, threshold: Threshold) -> Bool[np.ndarray, "side side"]:
        """What of the class's map is above the threshold, in the network's frame."""
        return self.levels(label) > threshold.cut

    @property
    def region_xyxy(self) -> Float[np.ndarray, "4"]:
        """The part of the image that the network saw, in its pixels."""
        side = float(self.geometry.image_size)
        return self._to_original(np.array([0.0, 0.0, side, side]))

    def levels(self, label: int) -> UInt8[np.ndarray, "side side"]:
        """The class's map in the frame, as the gray levels that are cut."""
        return quantize_map(
            resize_map(self._score_map(label), protocol=LCTR_PROTOCOL, image_size=self.geometry.image_size)
        )

    def _score_map(self, label: int) -> Float32[np.ndarray, "grid_h grid_w"]:
        return self.localization_maps[label]

    def _to_original(self, box_xyxy: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        return self.geometry.boxes_to_original(box_xyxy[None], width=self.width, height=self.height)[0]

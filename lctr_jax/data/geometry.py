"""Transforms of an image and its boxes to the network's input frame under either protocol, and back.

Boxes are `xyxy` in pixels, float64. A frame is the square network input with side `image_size`.

* `lctr`, the published evaluation: short side to 256/224 of the frame, then the center crop. The boxes'
  offset is the published one; it differs from the image's by up to one pixel in about half of all images.
* `wsoleval` (Choe et al., CVPR 2020): the whole image squeezed into the frame, box corners truncated.
"""

import dataclasses
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from lctr_jax.data.image_decoding import MAX_PIXELS, RgbPixels
from lctr_jax.data.resize import resize

GeometryProtocol = Literal["lctr", "wsoleval"]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The evaluation transform of one protocol at one input size.

    Attributes:
        protocol: "lctr" or "wsoleval".
        image_size: side of the frame in pixels.

    Raises:
        ValueError: the protocol is unknown or the frame is empty.
    """

    protocol: GeometryProtocol = "lctr"
    image_size: int = 224

    def __post_init__(self):
        if self.protocol not in ("lctr", "wsoleval"):
            raise ValueError(f"protocol: got {self.protocol!r}, expected 'lctr' or 'wsoleval'")
        if self.image_size < 1:
            raise ValueError(f"image_size: got {self.image_size}, expected at least 1 pixel")

    def transform_image(self, image: RgbPixels) -> UInt8[np.ndarray, "size size 3"]:
        """Return the RGB image in the frame (PIL's bilinear filter)."""
        size, window = (self.image_size, self.image_size), None
        if self.protocol == "lctr":
            size, window = self._resized_and_window(*image.shape[1::-1])
        return resize(image, size, resample=Image.Resampling.BILINEAR, window=window)

    def transform_mask(self, mask: Image.Image) -> UInt8[np.ndarray, "size size"]:
        """Return the single-channel mask in the frame, by nearest-neighbor interpolation.

        Under `wsoleval` OpenCV is used, as in its evaluator: OpenCV's nearest pixel contains the target
        pixel's upper left corner, PIL's its center.
        """
        frame = (self.image_size, self.image_size)
        if self.protocol == "wsoleval":
            return cv2.resize(np.asarray(mask), frame, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        (width, height), (left, top, right, bottom) = self._resized_and_window(*mask.size)
        if width * height <= MAX_PIXELS:
            resized = mask.resize((width, height), Image.Resampling.NEAREST)
            return np.asarray(resized.crop((left, top, right, bottom)))
        # In one step, up to rounding: a narrow mask would become too large.
        x, y = mask.width / width, mask.height / height
        region = (left * x, top * y, min(right * x, mask.width), min(bottom * y, mask.height))
        return np.asarray(mask.resize(frame, Image.Resampling.NEAREST, box=region))

    def _resized_and_window(
        self, width: int, height: int
    ) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """Return the size to which `lctr` resizes an image, and the center crop's corners in it."""
        size = _resize_short_side(width, height, short_side=self._resized_side)
        left, top = (int((side - self.image_size + 1) * 0.5) for side in size)
        return size, (left, top, left + self.image_size, top + self.image_size)

    def boxes_to_frame(
        self, boxes_xyxy: Float[np.ndarray, "boxes 4"], *, width: int, height: int
    ) -> Float[np.ndarray, "boxes 4"]:
        """Transform true boxes of a `width` x `height` image to the frame, exactly as the protocol does.

        Examples:
            >>> box = np.array([[100.0, 50.0, 400.0, 250.0]])
            >>> Geometry(protocol="wsoleval").boxes_to_frame(box, width=500, height=300).tolist()
            [[44.0, 37.0, 179.0, 186.0]]
            >>> Geometry(protocol="lctr").boxes_to_frame(box, width=500, height=300).round(2).tolist()
            [[0.0, 26.67, 224.0, 197.33]]
        """
        resized, offset = self._resized_and_offset(width, height)
        # Multiply before dividing; otherwise some exact values would be truncated to one pixel less.
        boxes = boxes_xyxy.astype(np.float64) * resized / _corners(width, height) - offset
        if self.protocol == "wsoleval":
            return np.trunc(boxes)
        return np.clip(boxes, 0.0, float(self.image_size))

    def boxes_to_original(
        self, boxes_xyxy: Float[np.ndarray, "boxes 4"], *, width: int, height: int
    ) -> Float[np.ndarray, "boxes 4"]:
        """Transform boxes from the frame to pixels of the original image, clipped to it."""
        resized, offset = self._resized_and_offset(width, height)
        size = _corners(width, height)
        return np.clip((boxes_xyxy.astype(np.float64) + offset) * size / resized, 0.0, size)

    @property
    def _resized_side(self) -> int:
        return int(self.image_size * 256 / 224)

    def _resized_and_offset(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the size of the resized image and the frame's offset in it, one value per coordinate."""
        if self.protocol == "wsoleval":
            return _corners(self.image_size, self.image_size), np.zeros(4)
        # Unlike the sides of the resized image, these are not truncated to whole pixels (as published).
        side = self._resized_side
        resized = (side * width / height, side) if width > height else (side, side * height / width)
        # Python's round, halves to even, as published.
        left, top = (round((length - (self.image_size - 1)) / 2) for length in resized)
        return _corners(*resized), _corners(left, top)


def _corners(x: float | int, y: float | int) -> np.ndarray:
    return np.array([x, y, x, y], np.float64)


def _resize_short_side(width: int, height: int, *, short_side: int) -> tuple[int, int]:
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side

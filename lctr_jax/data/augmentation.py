"""Random augmentation of one training image on the host."""

import dataclasses
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_CROP_ATTEMPTS = 10  # as in the reference implementation of random-resized-crop


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to a training image; every field can be switched off.

    Attributes:
      crop_scale: area of the random crop as a share of the image's, (low, high).
      crop_ratio: width / height of the random crop, (low, high), drawn log-uniformly.
      horizontal_flip: probability of mirroring.
      repeats: views of each drawn image, in a row ("repeated augmentation", Hoffer et al., CVPR 2020).
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    horizontal_flip: float = 0.5
    repeats: int = 1

    def __post_init__(self):
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale: got {self.crop_scale}, expected 0 < low <= high <= 1")
        low, high = self.crop_ratio
        if not 0 < low <= high:
            raise ValueError(f"crop_ratio: got {self.crop_ratio}, expected 0 < low <= high")
        if not 0 <= self.horizontal_flip <= 1:
            raise ValueError(f"horizontal_flip: got {self.horizontal_flip}, expected a probability")
        if self.repeats < 1:
            raise ValueError(f"repeats: got {self.repeats}, expected at least 1")

    @classmethod
    def basic(cls) -> "Augmentation":
        """Random-resized-crop and flip."""
        return cls()


def augment(
    image: Image.Image, augmentation: Augmentation, rng: np.random.Generator, *, image_size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """A random view of an RGB image, a pure function of the image and the state of `rng`."""
    left, top, width, height = draw_crop(
        image.width, image.height, scale=augmentation.crop_scale, ratio=augmentation.crop_ratio, rng=rng
    )
    # Crop first: PIL's `resize(box=...)` would let pixels from outside the crop bleed into its border.
    image = image.crop((left, top, left + width, top + height))
    image = image.resize((image_size, image_size), Image.Resampling.BICUBIC)
    if rng.random() < augmentation.horizontal_flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def draw_crop(
    width: int,
    height: int,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """A crop (left, top, width, height) of uniform area, log-uniform aspect (Szegedy et al., CVPR 2015).

    Draws that do not fit are repeated; after ten, the largest centred crop of an allowed ratio is taken.
    """
    for _ in range(_CROP_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left = int(rng.integers(width - crop_width, endpoint=True))
            top = int(rng.integers(height - crop_height, endpoint=True))
            return left, top, crop_width, crop_height
    crop_width = max(1, min(width, round(height * ratio[1])))
    crop_height = max(1, min(height, round(width / ratio[0])))
    return (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height

"""What is random about a training image; normalization, erasing and mixing follow on the device."""

import dataclasses
from typing import Literal

from PIL import Image

RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The host's part of the augmentation; everything can be switched off.

    Attributes:
      crop_scale: area of the random crop as a share of the image's, (low, high).
      crop_ratio: width / height of the random crop, (low, high), drawn log-uniformly.
      interpolation: of the crop's resize and of RandAugment's geometric operations.
      horizontal_flip: probability of mirroring.
      randaugment_layers: operations drawn for an image, each applied with probability 0.5; 0 for none.
      randaugment_magnitude: mean magnitude of an operation, 0 (weakest) to 10 (strongest).
      randaugment_magnitude_std: standard deviation of the magnitude.
      color_jitter: brightness, contrast and saturation factors are uniform in 1 +- this; 0 for none.
      repeats: views of each drawn image, in a row ("repeated augmentation", Hoffer et al., CVPR 2020).
      fast_decode: decode a JPEG at 1/2, 1/4 or 1/8 size where the crop still covers the network's input twice
        over. Six times faster on 12-megapixel photographs, there within about a gray level on average; no
        effect on crops below four times the input.

    Raises:
      ValueError: for an impossible value.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    horizontal_flip: float = 0.5
    randaugment_layers: int = 0
    randaugment_magnitude: float = 9.0
    randaugment_magnitude_std: float = 0.5
    color_jitter: float = 0.0
    repeats: int = 1
    fast_decode: bool = False

    def __post_init__(self):
        scale, ratio = self.crop_scale, self.crop_ratio
        requirements = {
            "crop_scale": (0 < scale[0] <= scale[1] <= 1, "0 < low <= high <= 1"),
            "crop_ratio": (0 < ratio[0] <= ratio[1], "0 < low <= high"),
            "interpolation": (self.interpolation in RESAMPLING, "'bicubic' or 'bilinear'"),
            "horizontal_flip": (0 <= self.horizontal_flip <= 1, "a probability"),
            "randaugment_layers": (self.randaugment_layers >= 0, "0 or more"),
            "randaugment_magnitude": (0 <= self.randaugment_magnitude <= 10, "0 to 10"),
            "randaugment_magnitude_std": (self.randaugment_magnitude_std >= 0, "0 or more"),
            "color_jitter": (0 <= self.color_jitter <= 1, "0 to 1"),
            "repeats": (self.repeats >= 1, "1 or more"),
        }
        for name, (holds, expected) in requirements.items():
            if not holds:
                raise ValueError(f"augmentation {name}: got {getattr(self, name)!r}, expected {expected}")

    @classmethod
    def published(cls) -> "Augmentation":
        """LCTR's recipe: crop, flip, RandAugment m9-mstd0.5-inc1, three views of each image."""
        return cls(randaugment_layers=2, repeats=3)

    @classmethod
    def basic(cls) -> "Augmentation":
        """Random-resized-crop and flip."""
        return cls()

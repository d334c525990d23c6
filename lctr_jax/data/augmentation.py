"""Options of `config.augmentation`: the augmentation of training images, on the host and on the devices."""

from dataclasses import dataclass
from typing import Annotated

from PIL import Image

from lctr_jax.options.ranges import Choice, Interval, Range, check_options

RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

_Probability = Range(0, 1)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation of training images; the defaults are LCTR's published recipe.

    Crop, flip, RandAugment and color jitter are drawn per image on the host (`data/train_transforms.py`);
    erasing, mixup, cutmix and label smoothing per batch inside the compiled step
    (`training/device_augmentation.py`).

    Attributes:
        image_size: side of the training images in pixels; 0 for the network's, model.image_size.
        resize: 0 draws a random resized crop, as below. Otherwise, the image is resized to a square of this
            side, ignoring its aspect ratio, and cropped to image_size at random; crop_scale and crop_ratio
            then have no effect.
        crop_scale: area of the random crop as a share of the image, (low, high).
        crop_ratio: width / height of the random crop, (low, high), drawn log-uniformly.
        interpolation: of the crop's resize and of RandAugment's geometric operations.
        horizontal_flip: probability of a horizontal flip.
        randaugment_layers: number of operations drawn per image, each applied with probability 0.5; 0 for
            none.
        randaugment_magnitude: mean magnitude of an operation, 0 (weakest) to 10 (strongest).
        randaugment_magnitude_std: standard deviation of the magnitude.
        color_jitter: brightness, contrast and saturation factors are uniform in 1 +- this; 0 for none.
        repeats: consecutive views of each drawn image ("repeated augmentation", Hoffer et al., CVPR 2020).
        fast_decode: decode a JPEG at 1/2, 1/4 or 1/8 of its size if the crop still has twice the network's
            input size. Six times as fast on 12-megapixel photographs, with a mean difference of about one
            gray level; no effect on crops smaller than four times the input.
        erasing: probability of filling a rectangle of an image with noise.
        mixup: alpha of mixup; 0 disables it. The published script sets it up but never uses it.
        cutmix: alpha of cutmix; 0 disables it. Also unused by the published script.
        label_smoothing: share of each target spread over all classes; 0 disables it. Also unused there.
    """

    image_size: Annotated[int, Range(0)] = 0
    resize: Annotated[int, Range(0)] = 0
    crop_scale: Annotated[tuple, Interval(Range(0, 1, above=True))] = (0.08, 1.0)
    crop_ratio: Annotated[tuple, Interval(Range(0, above=True))] = (3 / 4, 4 / 3)
    interpolation: Annotated[str, Choice(*RESAMPLING)] = "bicubic"
    horizontal_flip: Annotated[float, _Probability] = 0.5
    randaugment_layers: Annotated[int, Range(0)] = 2
    randaugment_magnitude: Annotated[float, Range(0, 10)] = 9.0
    randaugment_magnitude_std: Annotated[float, Range(0)] = 0.5
    color_jitter: Annotated[float, Range(0, 1)] = 0.0
    repeats: Annotated[int, Range(1)] = 3
    fast_decode: bool = False
    erasing: Annotated[float, _Probability] = 0.25
    mixup: Annotated[float, Range(0)] = 0.0
    cutmix: Annotated[float, Range(0)] = 0.0
    label_smoothing: Annotated[float, Range(0, 1)] = 0.0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: an option is invalid; the message names it, its value and what is expected.
        """
        check_options("augmentation", self)

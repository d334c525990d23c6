"""RandAugment as used by DeiT: two of fifteen operations, whose effect increases with the magnitude.

Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space" (NeurIPS 2020),
in the "increasing" variant known as `rand-m9-mstd0.5-inc1`. All operations use PIL.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

FILL = (124, 116, 104)  # ImageNet's mean color, for pixels uncovered by geometric operations
_MAX_MAGNITUDE = 10.0


@dataclasses.dataclass(frozen=True)
class OperationArguments:
    """An operation's strength in [0, 1], its sign, +1 or -1, and PIL's filter for resampling."""

    strength: float
    sign: int = 1
    resample: Image.Resampling = Image.Resampling.BICUBIC


Operation = Callable[[Image.Image, OperationArguments], Image.Image]


def auto_contrast(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Stretch each channel to the full range (no strength)."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Equalize each channel's histogram (no strength)."""
    return ImageOps.equalize(image)


def invert(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Invert the image (no strength)."""
    return ImageOps.invert(image)


def rotate(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Rotate about the center by up to 30 degrees."""
    degrees = arguments.sign * arguments.strength * 30
    return image.rotate(degrees, resample=arguments.resample, fillcolor=FILL)


def posterize(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Keep 4 bits per channel, down to none (black)."""
    mask = 0xFF00 >> (4 - int(arguments.strength * 4)) & 0xFF
    return image.point([value & mask for value in range(256)] * 3)  # `ImageOps.posterize` refuses 0 bits


def solarize(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Invert values above a threshold, from 256 (no pixels) down to 0 (all pixels)."""
    return ImageOps.solarize(image, 256 - int(arguments.strength * 256))


def solarize_add(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Add up to 110 to values below 128."""
    amount = int(arguments.strength * 110)
    table = [min(255, value + amount) if value < 128 else value for value in range(256)]
    return image.point(table * 3)


def color(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Change the saturation by up to 0.9."""
    return ImageEnhance.Color(image).enhance(_enhancement(arguments))


def contrast(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Change the contrast by up to 0.9."""
    return ImageEnhance.Contrast(image).enhance(_enhancement(arguments))


def brightness(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Change the brightness by up to 0.9."""
    return ImageEnhance.Brightness(image).enhance(_enhancement(arguments))


def sharpness(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Change the sharpness by up to 0.9."""
    return ImageEnhance.Sharpness(image).enhance(_enhancement(arguments))


def shear_x(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Shear along x by up to 0.3 pixels per row."""
    return _affine(image, arguments, x_per_row=arguments.sign * arguments.strength * 0.3)


def shear_y(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Shear along y by up to 0.3 pixels per column."""
    return _affine(image, arguments, y_per_column=arguments.sign * arguments.strength * 0.3)


def translate_x(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Translate along x by up to 0.45 of the width."""
    return _affine(image, arguments, x=arguments.sign * arguments.strength * 0.45 * image.width)


def translate_y(image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Translate along y by up to 0.45 of the height."""
    return _affine(image, arguments, y=arguments.sign * arguments.strength * 0.45 * image.height)


OPERATIONS: tuple[Operation, ...] = (
    auto_contrast,
    equalize,
    invert,
    rotate,
    posterize,
    solarize,
    solarize_add,
    color,
    contrast,
    brightness,
    sharpness,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)


def draw_operations(
    rng: np.random.Generator,
    *,
    layers: int,
    magnitude: float,
    magnitude_std: float,
    probability: float = 0.5,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> list[tuple[Operation, OperationArguments]]:
    """Draw the operations for one image: `layers` draws with replacement, each kept with `probability`.

    An operation's magnitude is normal(magnitude, magnitude_std), clipped to [0, 10]; 10 is full strength.
    """
    drawn = []
    for choice in rng.integers(len(OPERATIONS), size=layers):
        if rng.random() < probability:
            strength = (
                float(np.clip(rng.normal(magnitude, magnitude_std), 0, _MAX_MAGNITUDE)) / _MAX_MAGNITUDE
            )
            sign = 1 if rng.random() < 0.5 else -1
            drawn.append((OPERATIONS[choice], OperationArguments(strength, sign, resample)))
    return drawn


def _enhancement(arguments: OperationArguments) -> float:
    return 1.0 + arguments.sign * arguments.strength * 0.9


def _affine(
    image: Image.Image,
    arguments: OperationArguments,
    *,
    x: float = 0.0,
    y: float = 0.0,
    x_per_row: float = 0.0,
    y_per_column: float = 0.0,
) -> Image.Image:
    """Move to (column, row) what was at (column + x + x_per_row * row, row + y + y_per_column * column)."""
    matrix = (1, x_per_row, x, y_per_column, 1, y)
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=arguments.resample, fillcolor=FILL
    )

"""RandAugment as used by DeiT: two of fifteen operations, whose effect increases with the magnitude.

Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space" (NeurIPS 2020),
in the "increasing" variant known as `rand-m9-mstd0.5-inc1`. All operations give PIL's pixels.
"""

import dataclasses
from collections.abc import Callable, Iterable

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from lctr_jax.data import affine
from lctr_jax.data.image_decoding import RgbPixels

FILL = (124, 116, 104)  # ImageNet's mean color, for pixels uncovered by geometric operations
_MAX_MAGNITUDE = 10.0
_EVERY_VALUE = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL's filter SMOOTH


@dataclasses.dataclass(frozen=True)
class OperationArguments:
    """An operation's strength in [0, 1], its sign, +1 or -1, and PIL's filter for resampling."""

    strength: float
    sign: int = 1
    resample: Image.Resampling = Image.Resampling.BICUBIC


Operation = Callable[[RgbPixels, OperationArguments], RgbPixels]


def auto_contrast(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Stretch each channel to the full range (no strength)."""
    return cv2.LUT(pixels, _tables(_stretching_table(counts) for counts in _histograms(pixels)))


def equalize(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Equalize each channel's histogram (no strength)."""
    return cv2.LUT(pixels, _tables(_equalizing_table(counts) for counts in _histograms(pixels)))


def invert(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Invert the image (no strength)."""
    return ~pixels


def rotate(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Rotate about the center by up to 30 degrees."""
    height, width = pixels.shape[:2]
    degrees = arguments.sign * arguments.strength * 30
    return _move(pixels, arguments, affine.rotation(degrees, width=width, height=height))


def posterize(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Keep 4 bits per channel, down to none (black)."""
    return pixels & np.uint8(0xFF00 >> (4 - int(arguments.strength * 4)) & 0xFF)


def solarize(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Invert values above a threshold, from 256 (no pixels) down to 0 (all pixels)."""
    return _map_values(pixels, ImageOps.solarize(_EVERY_VALUE, 256 - int(arguments.strength * 256)))


def solarize_add(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Add up to 110 to values below 128."""
    amount = int(arguments.strength * 110)
    raised = [min(255, value + amount) if value < 128 else value for value in range(256)]
    return _map_values(pixels, _EVERY_VALUE.point(raised))


def color(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Change the saturation by up to 0.9."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(pixels)).enhance(_enhancement(arguments)))


def contrast(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Change the contrast by up to 0.9."""
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    mean = Image.new("L", _EVERY_VALUE.size, int(int(gray.sum()) / gray.size + 0.5))
    return _map_values(pixels, Image.blend(mean, _EVERY_VALUE, _enhancement(arguments)))


def brightness(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Change the brightness by up to 0.9."""
    return _map_values(pixels, ImageEnhance.Brightness(_EVERY_VALUE).enhance(_enhancement(arguments)))


def sharpness(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Change the sharpness by up to 0.9."""
    smooth = cv2.filter2D(pixels, -1, _SMOOTH)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):  # PIL does not filter the outermost pixels
        smooth[edge] = pixels[edge]
    blended = Image.blend(Image.fromarray(smooth), Image.fromarray(pixels), _enhancement(arguments))
    return np.asarray(blended)


def shear_x(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Shear along x by up to 0.3 pixels per row."""
    return _move(pixels, arguments, (1.0, arguments.sign * arguments.strength * 0.3, 0.0, 0.0, 1.0, 0.0))


def shear_y(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Shear along y by up to 0.3 pixels per column."""
    return _move(pixels, arguments, (1.0, 0.0, 0.0, arguments.sign * arguments.strength * 0.3, 1.0, 0.0))


def translate_x(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Translate along x by up to 0.45 of the width."""
    shift = arguments.sign * arguments.strength * 0.45 * pixels.shape[1]
    return _move(pixels, arguments, (1.0, 0.0, shift, 0.0, 1.0, 0.0))


def translate_y(pixels: RgbPixels, arguments: OperationArguments) -> RgbPixels:
    """Translate along y by up to 0.45 of the height."""
    shift = arguments.sign * arguments.strength * 0.45 * pixels.shape[0]
    return _move(pixels, arguments, (1.0, 0.0, 0.0, 0.0, 1.0, shift))


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


def _move(pixels: RgbPixels, arguments: OperationArguments, matrix: affine.Matrix) -> RgbPixels:
    return affine.transform(pixels, matrix, resample=arguments.resample, fill=FILL)


def _map_values(pixels: RgbPixels, table: Image.Image) -> RgbPixels:
    """Replace every value by what an operation of PIL made of it in `_EVERY_VALUE`."""
    return cv2.LUT(pixels, np.asarray(table))


def _tables(channels: Iterable[np.ndarray]) -> np.ndarray:
    return np.stack(list(channels), axis=-1).astype(np.uint8)[None]


def _histograms(pixels: RgbPixels) -> list[np.ndarray]:
    channels = (cv2.calcHist([pixels], [channel], None, [256], [0, 256]) for channel in range(3))
    return [counts.ravel().astype(np.int64) for counts in channels]


def _stretching_table(counts: np.ndarray) -> np.ndarray:
    low, high = np.flatnonzero(counts)[[0, -1]].tolist()
    if low == high:
        return np.arange(256)
    scale = 255.0 / (high - low)
    return np.clip((np.arange(256) * scale + -low * scale).astype(np.int64), 0, 255)


def _equalizing_table(counts: np.ndarray) -> np.ndarray:
    present = counts[counts > 0]
    step = (int(counts.sum()) - int(present[-1])) // 255
    if step == 0:
        return np.arange(256)
    return np.minimum((step // 2 + np.cumsum(counts) - counts) // step, 255)

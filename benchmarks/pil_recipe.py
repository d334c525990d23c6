"""Crop and RandAugment by PIL's own operations: the reference in pixels and in time for ours."""

from collections.abc import Callable
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

from lctr_jax.data import randaugment as ours
from lctr_jax.data.randaugment import FILL, Operation, OperationArguments
from lctr_jax.data.train_transforms import CropBox

Signed = Callable[[Image.Image, float, Image.Resampling], Image.Image]


def resize_crop(image: Image.Image, crop: CropBox, side: int, resample: Image.Resampling) -> Image.Image:
    """Crop an image, and resize the crop to a square."""
    return image.crop(crop).resize((side, side), resample)


def apply(operation: Operation, image: Image.Image, arguments: OperationArguments) -> Image.Image:
    """Apply what PIL has for one of `randaugment.OPERATIONS`."""
    return _BY_PIL[operation](image, arguments.sign * arguments.strength, arguments.resample)


def _solarize_add(image: Image.Image, signed: float, resample: Image.Resampling) -> Image.Image:
    amount = int(abs(signed) * 110)
    return image.point([min(255, value + amount) if value < 128 else value for value in range(256)] * 3)


def _posterize(image: Image.Image, signed: float, resample: Image.Resampling) -> Image.Image:
    mask = 0xFF00 >> (4 - int(abs(signed) * 4)) & 0xFF
    return image.point([value & mask for value in range(256)] * 3)  # `ImageOps.posterize` refuses 0 bits


def _enhance(kind: Callable[[Image.Image], Any]) -> Signed:
    return lambda image, signed, resample: kind(image).enhance(1 + signed * 0.9)


def _affine(matrix: Callable[[float, int, int], tuple[float, ...]]) -> Signed:
    return lambda image, signed, resample: image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix(signed, *image.size),
        resample=resample,
        fillcolor=FILL,
    )


_BY_PIL: dict[Operation, Signed] = {
    ours.auto_contrast: lambda image, signed, resample: ImageOps.autocontrast(image),
    ours.equalize: lambda image, signed, resample: ImageOps.equalize(image),
    ours.invert: lambda image, signed, resample: ImageOps.invert(image),
    ours.rotate: lambda image, signed, resample: image.rotate(signed * 30, resample, fillcolor=FILL),
    ours.posterize: _posterize,
    ours.solarize: lambda image, signed, resample: ImageOps.solarize(image, 256 - int(abs(signed) * 256)),
    ours.solarize_add: _solarize_add,
    ours.color: _enhance(ImageEnhance.Color),
    ours.contrast: _enhance(ImageEnhance.Contrast),
    ours.brightness: _enhance(ImageEnhance.Brightness),
    ours.sharpness: _enhance(ImageEnhance.Sharpness),
    ours.shear_x: _affine(lambda signed, width, height: (1, signed * 0.3, 0, 0, 1, 0)),
    ours.shear_y: _affine(lambda signed, width, height: (1, 0, 0, signed * 0.3, 1, 0)),
    ours.translate_x: _affine(lambda signed, width, height: (1, 0, signed * 0.45 * width, 0, 1, 0)),
    ours.translate_y: _affine(lambda signed, width, height: (1, 0, 0, 0, 1, signed * 0.45 * height)),
}

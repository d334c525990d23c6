"""A random view of a training image: crop, flip, RandAugment, color jitter, in the published order."""

import math

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageEnhance

from lctr_jax.data import affine
from lctr_jax.data.augmentation import RESAMPLING, Augmentation
from lctr_jax.data.image_decoding import RgbPixels, load_rgb
from lctr_jax.data.randaugment import FILL, draw_operations
from lctr_jax.data.resize import resize

_CROP_ATTEMPTS = 10  # as in common implementations of random-resized-crop

_FAST_DECODE_MARGIN = 2  # as in PIL's thumbnails; with less, the quality loss would be visible

CropBox = tuple[int, int, int, int]
Window = tuple[float, float, float, float]


def augment_image(
    image: Image.Image | RgbPixels, augmentation: Augmentation, rng: np.random.Generator, *, image_size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Draw a view of an opened or decoded image; a pure function of its pixels and the state of `rng`.

    Raises:
        CorruptImageError: the pixels cannot be decoded.
    """
    resample = RESAMPLING[augmentation.interpolation]
    width, height = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    if augmentation.resize:
        crop = draw_crop_of_resized(width, height, resize=augmentation.resize, image_size=image_size, rng=rng)
    else:
        crop = draw_crop(width, height, scale=augmentation.crop_scale, ratio=augmentation.crop_ratio, rng=rng)
    augmented = resize_crop(
        image,
        crop,
        image_size,
        resample=resample,
        fast_decode=augmentation.fast_decode,
        resized_first=augmentation.resize > 0,
    )
    if rng.random() < augmentation.horizontal_flip:
        augmented = cv2.flip(augmented, 1)
    operations = draw_operations(
        rng,
        layers=augmentation.randaugment_layers,
        magnitude=augmentation.randaugment_magnitude,
        magnitude_std=augmentation.randaugment_magnitude_std,
        resample=resample,
    )
    for operation, arguments in operations:
        augmented = operation(augmented, arguments)
    if augmentation.color_jitter == 0:
        return augmented
    return np.asarray(jitter_color(Image.fromarray(augmented), augmentation.color_jitter, rng))


def load_compiled(augmentation: Augmentation) -> None:
    """Compile what views need, or load it from Numba's cache, which a first view would otherwise wait for."""
    pixels = np.zeros((2, 2, 3), np.uint8)
    resample = RESAMPLING[augmentation.interpolation]
    resize(pixels, (2, 2), resample=resample)
    if augmentation.randaugment_layers:
        for matrix in ((1.0, 0.0, 0.5, 0.0, 1.0, 0.0), (1.0, 0.1, 0.0, 0.1, 1.0, 0.0)):
            affine.transform(pixels, matrix, resample=resample, fill=FILL)


def draw_crop(
    width: int,
    height: int,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> CropBox:
    """Draw a crop (left, top, right, bottom) in pixels (Szegedy et al., CVPR 2015).

    Its area is uniform and its aspect ratio log-uniform. Draws that do not fit are repeated; after ten, the
    largest centered crop with an allowed ratio is returned.
    """
    for _ in range(_CROP_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left = int(rng.integers(width - crop_width, endpoint=True))
            top = int(rng.integers(height - crop_height, endpoint=True))
            return left, top, left + crop_width, top + crop_height
    crop_width = max(1, min(width, round(height * ratio[1])))
    crop_height = max(1, min(height, round(width / ratio[0])))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    return left, top, left + crop_width, top + crop_height


def draw_crop_of_resized(
    width: int, height: int, *, resize: int, image_size: int, rng: np.random.Generator
) -> Window:
    """Draw a crop of an image that is resized to a square of side `resize`.

    Returns:
        Left, top, right and bottom of the crop in pixels of the original image.
    """
    left, top = (int(rng.integers(resize - image_size, endpoint=True)) for _ in range(2))
    x, y = width / resize, height / resize
    return left * x, top * y, (left + image_size) * x, (top + image_size) * y


def resize_crop(
    image: Image.Image | RgbPixels,
    crop: CropBox | Window,
    image_size: int,
    *,
    resample: Image.Resampling,
    fast_decode: bool,
    resized_first: bool = False,
) -> UInt8[np.ndarray, "size size 3"]:
    """Crop an opened or decoded image and resize the crop to an RGB square of side `image_size`.

    With `resized_first`, the result is that of resizing the whole image before cropping it, so pixels next to
    the crop affect its border.
    """
    reduction = 1.0
    if isinstance(image, Image.Image):
        if fast_decode:
            reduction = _request_reduced(image, crop, image_size)
        image = np.asarray(load_rgb(image))
    left, top, right, bottom = (edge / reduction for edge in crop)
    size = (image_size, image_size)
    if reduction == 1 and not resized_first:
        # Crop first: with a box, pixels outside of it would affect its border.
        return resize(image[int(top) : int(bottom), int(left) : int(right)], size, resample=resample)
    return resize(image, size, resample=resample, box=(left, top, right, bottom))


def _request_reduced(image: Image.Image, crop: CropBox | Window, image_size: int) -> float:
    """Request the smallest decoded size in which the crop still has twice the side of the square.

    Returns:
        The factor by which the decoder will reduce the image; 1 unless it is a JPEG.
    """
    left, top, right, bottom = crop
    full_width = image.width
    shrink = min(right - left, bottom - top) / (_FAST_DECODE_MARGIN * image_size)
    drafted = image.draft("RGB", (math.ceil(image.width / shrink), math.ceil(image.height / shrink)))
    return full_width / drafted[1][2] if drafted else 1.0


def jitter_color(image: Image.Image, amount: float, rng: np.random.Generator) -> Image.Image:
    """Multiply brightness, contrast and saturation, in random order, by factors uniform in 1 +- `amount`."""
    enhancers = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    for index in rng.permutation(len(enhancers)):
        image = enhancers[index](image).enhance(rng.uniform(1 - amount, 1 + amount))
    return image

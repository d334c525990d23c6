"""Crop, flip, color jitter and fast decoding compared with their definitions, over many draws."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageEnhance

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.image_decoding import CorruptImageError, open_image
from lctr_jax.data.train_transforms import augment_image, draw_crop, jitter_color, resize_crop

BICUBIC = Image.Resampling.BICUBIC
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
WHOLE: dict[str, Any] = {
    "crop_scale": (1.0, 1.0),
    "crop_ratio": (1.25, 1.25),
    "horizontal_flip": 0.0,
    "randaugment_layers": 0,
}


PHOTOGRAPHS = [
    (Path(sklearn.datasets.__file__).parent / "images" / name).read_bytes()
    for name in ("china.jpg", "flower.jpg")
]


def test_crops_have_uniform_area_and_log_uniform_aspect():
    rng = np.random.default_rng(0)
    crops = np.array(
        [draw_crop(1000, 1000, scale=(0.08, 0.5), ratio=(3 / 4, 4 / 3), rng=rng) for _ in range(4000)]
    )
    left, top, right, bottom = crops.T
    width, height = right - left, bottom - top
    assert crops.min() >= 0
    assert crops.max() <= 1000
    # No draw is rejected here: half the image at ratio 4/3 is 816 wide. So both laws hold as stated.
    area = np.sort(width * height / 1e6)
    aspect = np.sort(np.log(width / height))
    even = (np.arange(4000) + 0.5) / 4000
    assert np.abs((area - 0.08) / 0.42 - even).max() < 0.03  # Kolmogorov-Smirnov, about 1 in 700 by chance
    assert np.abs((aspect + np.log(4 / 3)) / (2 * np.log(4 / 3)) - even).max() < 0.03
    assert abs(np.mean(left / np.maximum(1000 - width, 1)) - 0.5) < 0.02
    assert abs(np.mean(top / np.maximum(1000 - height, 1)) - 0.5) < 0.02


def test_a_crop_that_never_fits_becomes_the_largest_centered_one():
    rng = np.random.default_rng(0)
    crop = draw_crop(1000, 100, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3), rng=rng)
    assert crop == (433, 0, 566, 100)
    assert draw_crop(1, 300, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3), rng=rng) == (0, 149, 1, 150)


@pytest.mark.parametrize("fast_decode", [False, True])
def test_a_crop_of_the_resized_image_is_that_of_resizing_and_cropping(fast_decode):
    options = {"resize": 64, "randaugment_layers": 0, "horizontal_flip": 0.0, "interpolation": "bilinear"}
    augmentation = Augmentation(**options, fast_decode=fast_decode)
    image = Image.open(io.BytesIO(PHOTOGRAPHS[0]))
    resized = np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))
    places = set()
    for seed in range(6):
        image = open_image(PHOTOGRAPHS[0])
        augmented = augment_image(image, augmentation, np.random.default_rng(seed), image_size=56)
        errors = {
            (top, left): np.abs(augmented.astype(int) - resized[top : top + 56, left : left + 56]).mean()
            for top in range(9)
            for left in range(9)
        }
        place = min(errors, key=errors.__getitem__)
        assert errors[place] <= (1.5 if fast_decode else 0.0)
        places.add(place)
    assert len(places) > 3


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_without_randomness_it_is_a_resize(interpolation):
    expected = NOISE.resize((24, 24), Image.Resampling[interpolation.upper()])
    augmentation = Augmentation(**WHOLE, interpolation=interpolation)
    augmented = augment_image(NOISE, augmentation, np.random.default_rng(0), image_size=24)
    np.testing.assert_array_equal(augmented, np.asarray(expected))


def test_flips_happen_as_often_as_asked():
    straight = augment_image(NOISE, Augmentation(**WHOLE), np.random.default_rng(0), image_size=24)
    flipping = Augmentation(**{**WHOLE, "horizontal_flip": 0.3})
    rng = np.random.default_rng(0)
    flipped = 0
    for _ in range(1000):
        augmented = augment_image(NOISE, flipping, rng, image_size=24)
        if not np.array_equal(augmented, straight):
            np.testing.assert_array_equal(augmented, straight[:, ::-1])
            flipped += 1
    assert 250 < flipped < 350


def test_color_jitter_draws_three_factors_in_random_order():
    class Scripted:
        """Stands in for the generator: saturation first, then brightness, then contrast."""

        factors = iter([1.3, 0.8, 1.1])

        def permutation(self, count):
            assert count == 3
            return [2, 0, 1]

        def uniform(self, low, high):
            assert (low, high) == (0.6, 1.4)
            return next(self.factors)

    expected = ImageEnhance.Color(NOISE).enhance(1.3)
    expected = ImageEnhance.Brightness(expected).enhance(0.8)
    expected = ImageEnhance.Contrast(expected).enhance(1.1)
    # Bypasses the run-time type check of the generator.
    plain = jitter_color.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    jittered = plain(NOISE, 0.4, Scripted())
    np.testing.assert_array_equal(np.asarray(jittered), np.asarray(expected))


def test_the_published_recipe_depends_on_the_generator_alone():
    published = Augmentation()
    augmented_images = [
        augment_image(NOISE, published, np.random.default_rng(i % 20), image_size=24) for i in range(40)
    ]
    for first, second in zip(augmented_images[:20], augmented_images[20:], strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({augmented.tobytes() for augmented in augmented_images}) == 20


@pytest.mark.parametrize("encoded", PHOTOGRAPHS, ids=["china", "flower"])  # 640 x 427
@pytest.mark.parametrize("image_size", [32, 48, 96])
@pytest.mark.parametrize("crop", [(0, 0, 640, 427), (31, 17, 431, 427), (205, 101, 400, 300)])
def test_fast_decoding_shows_the_same_crop(encoded, image_size, crop):
    exact, fast = (
        np.asarray(
            resize_crop(open_image(encoded), crop, image_size, resample=BICUBIC, fast_decode=flag), np.int32
        )
        for flag in (False, True)
    )
    difference = np.abs(fast - exact)
    # The stated tolerance. Bilinear in place of bicubic is 1.0 to 2.5 gray levels away on average.
    assert difference.mean() < 1.25
    assert difference.max() <= 16
    decodes_less = min(crop[2] - crop[0], crop[3] - crop[1]) >= 4 * image_size
    assert difference.any() == decodes_less


def test_fast_decoding_decodes_less():
    sizes = {}
    for flag in (False, True):
        image = open_image(PHOTOGRAPHS[0])
        resize_crop(image, (0, 0, 640, 427), 32, resample=BICUBIC, fast_decode=flag)
        sizes[flag] = image.size
    assert sizes == {False: (640, 427), True: (160, 107)}


@pytest.mark.parametrize("fast_decode", [False, True])
def test_other_formats_know_no_fast_decoding(fast_decode):
    buffer = io.BytesIO()
    NOISE.save(buffer, "PNG")
    image = open_image(buffer.getvalue())
    augmented = resize_crop(image, (0, 0, 50, 40), 10, resample=BICUBIC, fast_decode=fast_decode)
    np.testing.assert_array_equal(np.asarray(augmented), np.asarray(NOISE.resize((10, 10), BICUBIC)))


@pytest.mark.parametrize("fast_decode", [False, True])
def test_a_damaged_image_says_so(fast_decode):
    image = open_image(PHOTOGRAPHS[0][: len(PHOTOGRAPHS[0]) // 2])
    with pytest.raises(CorruptImageError):
        augment_image(
            image,
            Augmentation(randaugment_layers=0, fast_decode=fast_decode),
            np.random.default_rng(0),
            image_size=32,
        )

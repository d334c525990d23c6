"""Random-resized-crop and flip against their definitions, over many draws."""

import numpy as np
import pytest
from PIL import Image

from lctr_jax.data.augmentation import Augmentation, augment, draw_crop

NOISE = Image.effect_noise((50, 40), 80).convert("RGB")
WHOLE = Augmentation(crop_scale=(1.0, 1.0), crop_ratio=(1.25, 1.25), horizontal_flip=0.0)


def test_crops_have_uniform_area_and_log_uniform_aspect():
    rng = np.random.default_rng(0)
    crops = np.array(
        [draw_crop(1000, 1000, scale=(0.08, 0.5), ratio=(3 / 4, 4 / 3), rng=rng) for _ in range(4000)]
    )
    left, top, width, height = crops.T
    assert (left >= 0).all()
    assert (left + width <= 1000).all()
    assert (top >= 0).all()
    assert (top + height <= 1000).all()
    # No draw is rejected here: half the image at ratio 4/3 is 816 wide. So both laws hold as stated.
    area = np.sort(width * height / 1e6)
    aspect = np.sort(np.log(width / height))
    even = (np.arange(4000) + 0.5) / 4000
    assert np.abs((area - 0.08) / 0.42 - even).max() < 0.03  # Kolmogorov-Smirnov, about 1 in 700 by chance
    assert np.abs((aspect + np.log(4 / 3)) / (2 * np.log(4 / 3)) - even).max() < 0.03
    assert abs(np.mean(left / np.maximum(1000 - width, 1)) - 0.5) < 0.02


def test_a_crop_that_never_fits_becomes_the_largest_centred_one():
    rng = np.random.default_rng(0)
    crop = draw_crop(1000, 100, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3), rng=rng)
    assert crop == (433, 0, 133, 100)
    assert draw_crop(1, 300, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3), rng=rng) == (0, 149, 1, 1)


def test_without_randomness_it_is_a_bicubic_resize():
    expected = np.asarray(NOISE.resize((24, 24), Image.Resampling.BICUBIC))
    view = augment(NOISE, WHOLE, np.random.default_rng(0), image_size=24)
    np.testing.assert_array_equal(view, expected)


def test_flips_happen_as_often_as_asked():
    straight = augment(NOISE, WHOLE, np.random.default_rng(0), image_size=24)
    flipping = Augmentation(crop_scale=(1.0, 1.0), crop_ratio=(1.25, 1.25), horizontal_flip=0.3)
    rng = np.random.default_rng(0)
    flipped = 0
    for _ in range(1000):
        view = augment(NOISE, flipping, rng, image_size=24)
        if not np.array_equal(view, straight):
            np.testing.assert_array_equal(view, straight[:, ::-1])
            flipped += 1
    assert 250 < flipped < 350


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"crop_scale": (0.5, 0.2)}, "crop_scale"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
        ({"crop_ratio": (0.0, 1.0)}, "crop_ratio"),
        ({"horizontal_flip": 1.5}, "horizontal_flip"),
        ({"repeats": 0}, "repeats"),
    ],
)
def test_impossible_options_are_named(options, name):
    with pytest.raises(ValueError, match=name):
        Augmentation(**options)

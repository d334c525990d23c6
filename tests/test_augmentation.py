"""The augmentation's options: what they refuse, and what the named recipes are."""

import pytest

from lctr_jax.data.augmentation import Augmentation


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"crop_scale": (0.5, 0.2)}, "crop_scale"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
        ({"crop_ratio": (0.0, 1.0)}, "crop_ratio"),
        ({"horizontal_flip": 1.5}, "horizontal_flip"),
        ({"randaugment_layers": -1}, "randaugment_layers"),
        ({"randaugment_magnitude": 11.0}, "randaugment_magnitude"),
        ({"randaugment_magnitude_std": -0.5}, "randaugment_magnitude_std"),
        ({"color_jitter": 2.0}, "color_jitter"),
        ({"repeats": 0}, "repeats"),
    ],
)
def test_impossible_options_are_named(options, name):
    with pytest.raises(ValueError, match=f"augmentation {name}: got"):
        Augmentation(**options)


def test_the_published_recipe():
    assert Augmentation.published() == Augmentation(
        crop_scale=(0.08, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        interpolation="bicubic",
        horizontal_flip=0.5,
        randaugment_layers=2,
        randaugment_magnitude=9.0,
        randaugment_magnitude_std=0.5,
        color_jitter=0.0,
        repeats=3,
        fast_decode=False,
    )


def test_the_basic_recipe_is_crop_and_flip():
    basic = Augmentation.basic()
    assert (basic.randaugment_layers, basic.color_jitter, basic.repeats) == (0, 0.0, 1)
    assert basic.horizontal_flip == 0.5

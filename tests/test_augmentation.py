"""The augmentation options: refused values and defaults."""

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
        ({"interpolation": "nearest"}, "interpolation"),
        ({"crop_scale": ()}, "crop_scale"),
        ({"crop_scale": (0.5,)}, "crop_scale"),
        ({"crop_scale": ("small", "large")}, "crop_scale"),
        ({"crop_scale": (0.1, float("nan"))}, "crop_scale"),
        ({"crop_scale": (True, True)}, "crop_scale"),
        ({"crop_scale": (0.1, 0.2, 0.3)}, "crop_scale"),
        ({"crop_ratio": (1.0, float("inf"))}, "crop_ratio"),
        ({"erasing": 1.1}, "erasing"),
        ({"mixup": float("inf")}, "mixup"),
        ({"cutmix": -1.0}, "cutmix"),
        ({"label_smoothing": float("nan")}, "label_smoothing"),
    ],
)
def test_impossible_options_are_named(options, name):
    with pytest.raises(ValueError, match=rf"augmentation\.{name}: got"):
        Augmentation(**options)


def test_the_published_recipe():
    assert Augmentation() == Augmentation(
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
        erasing=0.25,
        mixup=0.0,
        cutmix=0.0,
        label_smoothing=0.0,
    )

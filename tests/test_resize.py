"""Resizing compared with PIL's, pixel for pixel."""

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from lctr_jax.data.resize import resize

PHOTOGRAPH = sklearn.datasets.load_sample_image("china.jpg")[40:390, 100:600]
NOISE = np.random.default_rng(0).integers(0, 2, (31, 47, 3), np.uint8) * 255
SIZES = [
    (500, 350, 224),
    (224, 224, 224),
    (61, 300, 224),
    (500, 1, 224),
    (1, 350, 3),
    (2, 2, 96),
    (300, 200, 7),
]


@pytest.mark.parametrize("resample", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR])
def test_it_gives_pils_pixels(resample):
    rng = np.random.default_rng(0)
    for pixels in (PHOTOGRAPH, NOISE):
        for width, height, side in SIZES:
            part = pixels[:height, :width]
            theirs = Image.fromarray(part).resize((side, side), resample)
            np.testing.assert_array_equal(resize(part, (side, side), resample=resample), np.asarray(theirs))
        height, width = pixels.shape[:2]
        for side in (1, 16, 64, 224):
            left, right = np.sort(rng.uniform(0, width, 2)).tolist()
            top, bottom = np.sort(rng.uniform(0, height, 2)).tolist()
            box = (left, top, right, bottom)
            theirs = Image.fromarray(pixels).resize((side, side), resample, box)
            np.testing.assert_array_equal(
                resize(pixels, (side, side), resample=resample, box=box), np.asarray(theirs)
            )

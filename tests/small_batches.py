"""Training batches of eleven small noise images, for tests of the pipeline and its workers."""

import contextlib
import io
import itertools

import numpy as np
from PIL import Image

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.pipeline import train_batches

SIZE = 16


def make_split(num_examples: int) -> list[dict]:
    records = []
    for index in range(num_examples):
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 256, (20 + index, 30, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        records.append(
            {
                "image": buffer.getvalue(),
                "id": f"images/{index}.png",
                "label": index % 3,
                "boxes_xyxy": np.array([[1, 2, 10, 12]], np.float32),
            }
        )
    return records


CROP_AND_FLIP = Augmentation(randaugment_layers=0, repeats=1)
SPLIT = make_split(11)


def training(split=SPLIT, *, batch_size=4, seed=0, **options):
    augmentation = options.pop("augmentation", CROP_AND_FLIP)
    return train_batches(
        split, batch_size=batch_size, image_size=SIZE, seed=seed, augmentation=augmentation, **options
    )


def take(batches, count):
    with contextlib.closing(batches):
        return list(itertools.islice(batches, count))


def assert_same_batches(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])

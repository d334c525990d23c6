"""What an evaluation hands on for pictures is what it measured."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_results import make_settings
from PIL import Image

from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.forward import Maps
from lctr_jax.evaluation.stream import evaluate_split

SIZE, COUNT, BATCH = 64, 5, 2


def encode(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


SPLIT = [
    {
        "image": encode(index),
        "id": f"{index}.png",
        "label": 1,
        "boxes_xyxy": np.array([[8.0, 8.0, 40.0, 40.0]], np.float32),
    }
    for index in range(COUNT)
]
PREDICTED, TRUE = np.zeros((2, 4, 4), np.float32)
PREDICTED[0, 0], TRUE[3, 3] = 1, 1


def forward(parameters, image, label):
    """Predicts class 0 everywhere; its map is hot in the first patch, the true class's in the last."""
    batch = len(image)
    maps = Maps(
        np.tile(np.array([0, 1, 2], np.int32), (batch, 1)),
        np.tile(np.array([0.5, 0.3, 0.2], np.float32), (batch, 1)),
        np.full((batch, 4, 4), 2, np.float32),
        np.tile(np.stack([PREDICTED, TRUE]), (batch, 1, 1, 1)),
    )
    return jax.tree.map(jnp.asarray, maps)


def results_of(protocol):
    results = []
    evaluate_split(
        forward,
        {},
        SPLIT,
        settings=make_settings(protocol),
        geometry=Geometry(protocol, SIZE),
        batch_size=BATCH,
        on_result=results.append,
    )
    return results


@pytest.mark.parametrize(("protocol", "boxed"), [("lctr", PREDICTED), ("wsoleval", TRUE)])
def test_the_maps_are_those_that_were_boxed(protocol, boxed):
    results = results_of(protocol)
    assert [result.measurement.id for result in results] == [f"{index}.png" for index in range(COUNT)]
    for result in results:
        np.testing.assert_array_equal(result.class_map, boxed)
        x0, y0, x1, y1 = result.measurement.box_xyxy
        row, column = np.argwhere(boxed)[0] * SIZE / 4 + SIZE / 8
        assert x0 <= column <= x1
        assert y0 <= row <= y1
        assert (x1 - x0) * (y1 - y0) < SIZE * SIZE / 4


def test_the_image_is_the_frame_that_the_network_saw():
    for index, result in enumerate(results_of("wsoleval")):
        np.testing.assert_array_equal(result.image, np.asarray(Image.open(io.BytesIO(SPLIT[index]["image"]))))

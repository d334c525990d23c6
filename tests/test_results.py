"""An evaluation passes the measured values on to figures."""

import io

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_results import make_settings
from PIL import Image

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError
from lctr_jax.evaluation.forward import ForwardOutput
from lctr_jax.evaluation.prediction_lines import prediction
from lctr_jax.evaluation.stream import evaluate_split
from lctr_jax.localization.pixels import average_precision
from lctr_jax.localization.summary import summarize
from lctr_jax.report.metric_tables import comparisons
from lctr_jax.report.summary_line import format_summary

SIZE, COUNT, BATCH = 64, 5, 2


def encode(seed):
    return encode_pixels(np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), np.uint8))


def encode_pixels(pixels):
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
    class_maps = np.tile(np.stack([PREDICTED, TRUE]), (batch, 1, 1, 1))
    maps = ForwardOutput(
        np.tile(np.array([0, 1, 2], np.int32), (batch, 1)),
        np.tile(np.array([0.5, 0.3, 0.2], np.float32), (batch, 1)),
        np.full((batch, 4, 4), 2, np.float32),
        class_maps,
        2 * class_maps,
    )
    return jax.tree.map(jnp.asarray, maps)


def results_of(protocol, split=SPLIT):
    results = []
    evaluate_split(
        forward,
        {},
        split,
        settings=make_settings(protocol),
        geometry=Geometry(protocol, SIZE),
        batch_size=BATCH,
        on_result=results.append,
    )
    return results


@pytest.mark.parametrize(("protocol", "boxed"), [("lctr", PREDICTED), ("wsoleval", TRUE)])
def test_the_maps_are_those_that_were_boxed(protocol, boxed):
    results = results_of(protocol)
    assert [result.sample.id for result in results] == [f"{index}.png" for index in range(COUNT)]
    for result in results:
        np.testing.assert_array_equal(result.class_map, boxed)
        x0, y0, x1, y1 = result.measurement.box_xyxy
        row, column = np.argwhere(boxed)[0] * SIZE / 4 + SIZE / 8
        assert x0 <= column <= x1
        assert y0 <= row <= y1
        assert (x1 - x0) * (y1 - y0) < SIZE * SIZE / 4


def test_a_reference_is_measured_as_if_alone():
    settings, geometry = make_settings("lctr"), Geometry("lctr", SIZE)

    def network(parameters, image, label):
        maps = forward(parameters, image, label)
        return maps._replace(localization_maps=maps.localization_maps * parameters["sign"])

    def sums(sign, **references):
        return evaluate_split(
            network,
            {"sign": sign},
            SPLIT,
            settings=settings,
            geometry=geometry,
            batch_size=BATCH,
            references=references,
        )

    both, alone = sums(1.0, other={"sign": -1.0}), sums(-1.0)
    for found, expected in ((both.references["other"], alone.measured), (both.measured, sums(1.0).measured)):
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
    assert summarize(both.measured, settings) != summarize(alone.measured, settings)


def test_the_image_is_the_frame_that_the_network_saw():
    for index, result in enumerate(results_of("wsoleval")):
        np.testing.assert_array_equal(result.image, np.asarray(Image.open(io.BytesIO(SPLIT[index]["image"]))))


@pytest.mark.parametrize("damage", [b"", b"<html>404</html>", encode(0)[:200]])
def test_a_damaged_mask_is_named(damage):
    split = [record | {"mask": encode(0)} for record in SPLIT]
    split[3]["mask"] = damage
    with pytest.raises(
        CorruptImageError, match=r"mask of '3\.png': cannot decode .*; repair or remove the file"
    ) as error:
        results_of("wsoleval", split)
    assert "\n" not in str(error.value)


def test_pxap_is_wsolevals_from_image_sized_masks():
    """PIL's nearest pixels give another number."""
    rng = np.random.default_rng(0)
    masks = [rng.choice(np.array([0, 1, 255], np.uint8), (90, 130)) for _ in SPLIT]
    split = [record | {"mask": encode_pixels(mask)} for record, mask in zip(SPLIT, masks, strict=True)]
    settings = make_settings("wsoleval")
    totals = evaluate_split(
        forward, {}, split, settings=settings, geometry=Geometry("wsoleval", SIZE), batch_size=BATCH
    )
    score = cv2.resize(2 * TRUE, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    score = (score - score.min()) / np.ptp(score)
    rows, columns = (np.floor(np.arange(SIZE) * (1 / (SIZE / side))).astype(int) for side in (90, 130))
    edges = np.append(np.arange(0, 1, settings.tau_step), [1, 2, 3])
    expected = [
        sum(np.histogram(score[mask[np.ix_(rows, columns)] == value], edges)[0] for mask in masks)
        for value in (0, 1)
    ]
    assert summarize(totals.measured, settings)["pxap"] == pytest.approx(
        average_precision(np.stack(expected))
    )
    by_pil = [
        np.asarray(Image.fromarray(mask).resize((SIZE, SIZE), Image.Resampling.NEAREST)) for mask in masks
    ]
    other = [sum(np.histogram(score[mask == value], edges)[0] for mask in by_pil) for value in (0, 1)]
    assert average_precision(np.stack(other)) != pytest.approx(
        average_precision(np.stack(expected)), abs=0.01
    )


def test_a_flat_map_is_said_of_its_image(tmp_path):
    """A network whose maps are all zero still scores under `lctr`: its boxes are the full frame."""

    def flat_forward(parameters, image, label):
        return jax.tree.map(jnp.zeros_like, forward(parameters, image, label))

    settings, geometry, lines = make_settings("lctr"), Geometry("lctr", SIZE), []
    for network in (flat_forward, forward):
        totals = evaluate_split(
            network,
            {},
            SPLIT,
            settings=settings,
            geometry=geometry,
            batch_size=BATCH,
            on_result=lambda result: lines.append(prediction(result, geometry)),
        )
        summary = {"split": "test", **summarize(totals.measured, settings)}
        expected = COUNT if network is flat_forward else 0
        assert summary["flat_maps"] == summary["frame_covering_boxes"] == expected
        summary["baselines"] = totals.content_free.summarize()
        said = f"flat maps: {expected} of 5 images; boxes over 95% of the frame: {expected}"
        assert said in format_summary(summary)
    flagged = [(line["flat_map"], line["covers_frame"]) for line in lines]
    assert flagged == [(True, True)] * COUNT + [(False, False)] * COUNT


def test_masks_without_boxes_are_measured_beside_baselines():
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[20:44, 20:44] = 1
    no_boxes = np.zeros((0, 4), np.float32)
    split = [record | {"mask": encode_pixels(mask), "boxes_xyxy": no_boxes} for record in SPLIT]
    settings = make_settings("wsoleval")
    totals = evaluate_split(
        forward, {}, split, settings=settings, geometry=Geometry("wsoleval", SIZE), batch_size=BATCH
    )
    summary = {"split": "test", **summarize(totals.measured, settings)}
    summary["baselines"] = totals.content_free.summarize()
    assert summary["baselines"]["full_image"]["pxap"] == pytest.approx(100 * (24 / SIZE) ** 2)
    said = format_summary(summary)
    assert "no boxes in this split: classification and PxAP" in said
    assert f"PxAP {summary['pxap']:.2f}" in said
    assert "PxAP of baselines: full_image 14.06  centered_gaussian 9" in said
    ((title, bars),) = comparisons(summary)
    assert (title, len(bars)) == ("PxAP", 3)

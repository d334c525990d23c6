"""From a network's maps to boxes in pixels of an image, with a network whose maps are known."""

from typing import Any

import numpy as np
import pytest

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.data.geometry import Geometry, GeometryProtocol
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.result import NotFiniteError
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.output import Output
from lctr_jax.models.spec import ModelSpec
from lctr_jax.report.prediction_folder import draw_prediction, prediction_item, prediction_line
from lctr_jax.report.redraw import BoxRules

SPEC = ModelSpec(num_classes=6, width=8, depth=1, heads=2, image_size=32, patch_size=8)
NAMES = ("cat", "dog", "<b>owl</b>", "naïve", "5", "fox")


class FakeModel(LoadedModel):
    """A network whose relation map is hot in the given rows and columns of its 4 x 4 patches."""

    calls: list
    relation: np.ndarray

    def __init__(self, rows, columns):
        super().__init__({}, Metadata(kind="network", spec=SPEC, class_names=NAMES))
        relation = np.zeros((4, 4), np.float32)
        relation[rows, columns] = 1
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "relation", relation)

    def __call__(self, images, classes=None):
        self.calls.append((images.shape, classes))
        batch = len(images)
        asked = (batch,) if classes is None else classes.shape
        arrays: dict[str, Any] = {
            "logits": np.tile(np.array([0, 3, 1, 0, 0, 2], np.float32), (batch, 1)),
            "class_map": np.ones((*asked, 4, 4), np.float32),
            "relation_map": np.tile(self.relation, (batch, 1, 1)),
            "cls_attention": np.zeros((batch, 4, 4), np.float32),
            "patch_tokens": np.zeros((batch, 4, 4, 8), np.float32),
        }
        return Output(**arrays, routing=None)


def black(width, height):
    return np.zeros((height, width, 3), np.uint8)


def localize(model, image, *, geometry: GeometryProtocol = "wsoleval", **options):
    localizer = Localizer(model, geometry=Geometry(geometry, 32), threshold=Threshold(0.5), **options)
    (prediction,) = localizer([image])
    return prediction


@pytest.mark.parametrize(("width", "height"), [(320, 160), (160, 320), (64, 64)])
def test_a_box_is_where_the_map_is_hot_in_the_image_s_own_pixels(width, height):
    model = FakeModel(slice(0, 2), slice(2, 4))  # the upper right quarter
    prediction = localize(model, black(width, height))
    expected = [width / 2, 0, width, height / 2]
    np.testing.assert_allclose(prediction.boxed[0].box_xyxy, expected, atol=width / 32)
    assert prediction.region_xyxy.tolist() == [0, 0, width, height]


def test_the_center_crop_sees_and_boxes_the_middle_only():
    prediction = localize(FakeModel(slice(0, 2), slice(2, 4)), black(720, 360), geometry="lctr")
    # 360 pixels become 36, of which 32 are seen: 320 pixels from about (200, 20).
    np.testing.assert_allclose(prediction.region_xyxy, [200, 20, 520, 340], atol=10)
    np.testing.assert_allclose(prediction.boxed[0].box_xyxy, [360, 20, 520, 180], atol=15)


def test_the_predicted_class_is_boxed_unless_others_are_asked_for():
    model, image = FakeModel(slice(0, 2), slice(0, 2)), black(32, 32)
    prediction = localize(model, image)
    assert [boxed.name for boxed in prediction.boxed] == ["dog"]
    assert [ranked.name for ranked in prediction.top] == ["dog", "fox", "<b>owl</b>", "cat", "naïve"]
    assert sum(ranked.probability for ranked in prediction.top) < 1
    prediction = localize(model, image, classes=["fox", "0"])
    assert [boxed.ranked.label for boxed in prediction.boxed] == [5, 0]
    assert model.calls[-1][1].tolist() == [[5, 0]] * 16


def test_a_flat_map_is_said_to_have_found_nothing(tmp_path):
    prediction = localize(FakeModel(slice(0, 4), slice(0, 4)), black(64, 32))
    (boxed,) = prediction.boxed
    assert not boxed.found
    assert boxed.box_xyxy.tolist() == [0, 0, 64, 32]
    assert prediction_line(prediction)["boxes"][0]["found"] is False
    drawn = np.asarray(draw_prediction(prediction))
    assert not drawn[:32].any()  # neither box nor map over the black image
    assert prediction_item("x", prediction, BoxRules(image_size=32)).missed_classes == ["dog"]


def test_a_name_that_looks_like_a_number_is_a_name():
    prediction = localize(FakeModel(0, 0), black(32, 32), classes=["5"])
    assert prediction.boxed[0].ranked.label == 4


def test_one_compiled_shape_whatever_the_number_of_images():
    model = FakeModel(0, 0)
    localizer = Localizer(model, geometry=Geometry("wsoleval", 32), threshold=Threshold(0.5), batch_size=4)
    assert [len(localizer([black(9, 9)] * count)) for count in (1, 3, 4)] == [1, 3, 4]
    assert {shape for shape, _ in model.calls} == {(4, 32, 32, 3)}


class TwoRegions(FakeModel):
    """A strong small region at the upper left and a weak large one at the lower right."""

    def __init__(self):
        super().__init__(slice(0, 1), slice(0, 1))
        self.relation[2:, 2:] = 0.6


def test_every_region_can_have_a_box_and_a_score():
    image = black(320, 320)
    (largest,) = localize(TwoRegions(), image).boxed
    large, small = localize(TwoRegions(), image, boxes="all").boxed
    assert large.box_xyxy.tolist() == largest.box_xyxy.tolist()
    assert large.box_xyxy[:2].min() > 150
    assert small.box_xyxy[2:].max() < 150
    assert (large.ranked, small.ranked) == (largest.ranked, largest.ranked)
    assert 0 < large.score < large.ranked.probability
    for boxed in (large, small):  # the outline runs along the box's inside, half a pixel of the frame away
        np.testing.assert_allclose(boxed.outline.min(0), boxed.box_xyxy[:2], atol=6)
        np.testing.assert_allclose(boxed.outline.max(0), boxed.box_xyxy[2:], atol=6)
    assert len(localize(TwoRegions(), image, boxes="all", min_area=0.1).boxed) == 1
    (none,) = localize(TwoRegions(), image, boxes="all", min_area=0.9).boxed
    assert (none.found, none.score, none.box_xyxy.tolist()) == (False, 0.0, [0, 0, 320, 320])


def test_a_score_is_the_probability_times_the_maps_mean_in_the_box():
    (boxed,) = localize(FakeModel(slice(0, 4), slice(0, 2)), black(32, 32)).boxed
    probability = np.exp(3) / np.exp([0, 3, 1, 0, 0, 2]).sum()
    assert boxed.ranked.probability == pytest.approx(probability, rel=1e-5)
    column = np.interp((np.arange(32) + 0.5) / 8 - 0.5, np.arange(4), [1, 1, 0, 0])  # OpenCV's enlargement
    levels = np.floor(column * 255)
    inside = levels[levels > 127]
    assert boxed.score == pytest.approx(probability * inside.mean() / 255, rel=1e-3)


def test_the_most_likely_classes():
    prediction = localize(FakeModel(0, 0), black(32, 32), top=3)
    assert [boxed.name for boxed in prediction.boxed] == ["dog", "fox", "<b>owl</b>"]


def test_a_class_per_image():
    model = FakeModel(0, 0)
    localizer = Localizer(model, geometry=Geometry("wsoleval", 32), threshold=Threshold(0.5), batch_size=2)
    first, second = localizer([black(9, 9)] * 2, [3, None])
    assert [boxed.name for boxed in (*first.boxed, *second.boxed)] == ["naïve", "dog"]


class Damaged(FakeModel):
    """A network whose output for the second image is not finite."""

    def __call__(self, images, classes=None):
        output = super().__call__(images, classes)
        output.logits[1, 0] = np.nan
        return output


def test_an_output_that_is_not_finite_is_an_error_of_its_image_alone():
    localizer = Localizer(
        Damaged(0, 0), geometry=Geometry("wsoleval", 32), threshold=Threshold(0.5), batch_size=3
    )
    images = [black(9, 9)] * 3
    first, second, third = localizer.localize_each(images)
    assert isinstance(second, NotFiniteError)
    assert not isinstance(first, NotFiniteError)
    assert not isinstance(third, NotFiniteError)
    assert first.found
    assert third.found
    with pytest.raises(NotFiniteError, match=r"images\[1\]: the network's output is not finite"):
        localizer(images)


def test_a_threshold_may_be_each_map_s_own():
    def rule(levels):
        return Threshold(0.7 if levels[0, 0] == 255 else 0.1, "map")

    for model, tau in ((FakeModel(0, 0), 0.7), (FakeModel(3, 3), 0.1)):
        localizer = Localizer(model, geometry=Geometry("wsoleval", 32), threshold=rule, batch_size=1)
        (boxed,) = localizer([black(32, 32)])[0].boxed
        assert boxed.threshold == tau


def test_a_mask_covers_what_its_box_encloses():
    prediction = localize(FakeModel(slice(0, 2), slice(2, 4)), black(100, 50))
    (boxed,) = prediction.boxed
    mask = prediction.mask(boxed)
    assert mask.shape == (50, 100)
    rows, columns = np.nonzero(mask)
    bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(bounds, boxed.box_xyxy, atol=1)
    assert mask[10, 80]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top": 0}, "top: got 0"), ({"top": 7}, "expected 1 to 6"), ({"min_area": 1.0}, "min_area: got 1.0")],
)
def test_impossible_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        localize(FakeModel(0, 0), black(9, 9), **options)

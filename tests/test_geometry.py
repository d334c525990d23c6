"""The evaluation geometry against goldens, PIL and its own inverse."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lctr_jax.data import geometry
from lctr_jax.data.geometry import Geometry

GOLDENS = Path(__file__).parent / "goldens"


def rgb(gray):
    return np.repeat(gray[..., None], 3, axis=-1)


def test_lctr_boxes_match_the_published_transform():
    geometry = Geometry("lctr", 224)
    cases = json.loads((GOLDENS / "lctr_geometry.json").read_text())
    assert len(cases) == 60
    for case in cases:
        x, y, w, h = case["box_xywh"]
        boxes = geometry.boxes_to_frame(
            np.array([[x, y, x + w, y + h]]), width=case["width"], height=case["height"]
        )
        np.testing.assert_allclose(boxes[0], case["box_in_crop"], rtol=0, atol=1e-9)


def test_wsoleval_boxes_match_the_published_truncation():
    cases = json.loads((GOLDENS / "wsoleval_boxes.json").read_text())
    geometry = Geometry("wsoleval", 224)
    for (width, height), boxes, expected in zip(
        cases["image_sizes"], cases["boxes_xyxy"], cases["resized_xyxy"], strict=True
    ):
        resized = geometry.boxes_to_frame(np.array(boxes, float), width=width, height=height)
        np.testing.assert_array_equal(resized, expected)


def test_wsoleval_truncates_like_integer_arithmetic():
    # v * 224 / size on whole pixels is a rational number: its floor is known without floating point.
    for size in range(1, 700, 3):
        corners = np.arange(size + 1.0)
        boxes = np.stack([corners] * 4, axis=1)
        frame = Geometry("wsoleval", 224).boxes_to_frame(boxes, width=size, height=size)
        np.testing.assert_array_equal(frame[:, 0], [v * 224 // size for v in range(size + 1)])


@pytest.mark.parametrize("image_size", [48, 96, 224, 384])
def test_the_lctr_crop_shows_the_center_at_the_published_scale(image_size):
    # A horizontal ramp: the pixel value tells the column that it came from.
    width, height = 500, 375
    ramp = np.broadcast_to(np.arange(width, dtype=np.float32) / 2, (height, width)).astype(np.uint8)
    frame = Geometry("lctr", image_size).transform_image(rgb(ramp))
    short_side = int(image_size * 256 / 224)
    resized_width = int(short_side * width / height)
    left = int((resized_width - image_size + 1) * 0.5)
    columns = (np.arange(image_size) + left + 0.5) * width / resized_width - 0.5
    assert frame.shape == (image_size, image_size, 3)
    np.testing.assert_allclose(frame[image_size // 2, :, 0], columns / 2, atol=2.0)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 333), (40, 600), (1, 1)])
def test_wsoleval_squeezes_the_whole_image(size):
    image = Image.effect_noise(size, 60).convert("RGB")
    expected = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(Geometry("wsoleval", 224).transform_image(np.asarray(image)), expected)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 333), (40, 600), (1, 1), (256, 256)])
@pytest.mark.parametrize("image_size", [32, 224])
def test_the_lctr_frame_is_the_center_of_the_image_that_pil_resizes(size, image_size):
    image = Image.effect_noise(size, 60).convert("RGB")
    short_side = int(image_size * 256 / 224)
    width, height = (length * short_side // min(size) for length in size)
    left, top = (int((length - image_size + 1) * 0.5) for length in (width, height))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((left, top, left + image_size, top + image_size)))
    np.testing.assert_array_equal(Geometry("lctr", image_size).transform_image(np.asarray(image)), expected)


@pytest.mark.parametrize("size", [(2500, 4), (4, 2500), (1200, 3), (7, 900)])
def test_the_crop_of_a_narrow_mask_in_one_step_is_that_of_two(size, monkeypatch):
    mask = Image.effect_noise(size, 60)
    two_steps = Geometry("lctr").transform_mask(mask)
    monkeypatch.setattr(geometry, "MAX_PIXELS", 0)
    assert np.mean(Geometry("lctr").transform_mask(mask) != two_steps) < 0.01


def test_an_image_of_7000_by_4_pixels_has_a_frame():
    ramp = np.broadcast_to((np.arange(7000) // 2 % 256).astype(np.uint8), (4, 7000))  # resized: 448000 x 256
    frame = Geometry("lctr").transform_image(rgb(ramp))
    # The frame shows columns 3498.25 to 3501.75.
    columns = 3498.25 + (np.arange(224) + 0.5) / 64
    expected = np.interp(columns, np.arange(7000) + 0.5, ramp[0].astype(float))
    np.testing.assert_allclose(frame[100, :, 0], expected, atol=1)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (101, 333), (224, 224), (60, 50), (900, 700)])
def test_wsoleval_masks_take_the_pixels_of_its_evaluator(size):
    """It enlarges by `cv2.INTER_NEAREST`: target pixel x comes from floor(x * size / 224)."""
    width, height = size
    mask = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), (height, width))
    frame = Geometry("wsoleval").transform_mask(Image.fromarray(mask))
    rows, columns = (np.floor(np.arange(224) * (1 / (224 / side))).astype(int) for side in (height, width))
    np.testing.assert_array_equal(frame, mask[np.ix_(rows, columns)])
    assert frame.dtype == np.uint8


@given(
    width=st.integers(20, 3000),
    height=st.integers(20, 3000),
    image_size=st.sampled_from([48, 96, 224, 256]),
    corners=st.tuples(*[st.floats(0.05, 0.95)] * 4),
)
def test_boxes_inside_the_frame_come_back(width, height, image_size, corners):
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    frame = np.array([[x0, y0, x1, y1]]) * image_size
    geometry = Geometry("lctr", image_size)
    original = geometry.boxes_to_original(frame, width=width, height=height)
    assert (original > 0).all()
    assert (original < [width, height, width, height]).all()
    back = geometry.boxes_to_frame(original, width=width, height=height)
    np.testing.assert_allclose(back, frame, atol=1e-6)


def test_wsoleval_boxes_come_back_within_the_truncated_pixel():
    boxes = np.array([[10.0, 20.0, 310.5, 290.0]])
    geometry = Geometry("wsoleval", 224)
    frame = geometry.boxes_to_frame(boxes, width=500, height=375)
    back = geometry.boxes_to_original(frame, width=500, height=375)
    assert (back <= boxes + 1e-9).all()
    assert (boxes - back < [500 / 224, 375 / 224, 500 / 224, 375 / 224]).all()


def test_boxes_in_the_original_never_leave_the_image():
    frame = np.array([[-30.0, -30.0, 400.0, 400.0]])
    for protocol in ("lctr", "wsoleval"):
        boxes = Geometry(protocol, 224).boxes_to_original(frame, width=224, height=224)
        np.testing.assert_array_equal(boxes, [[0, 0, 224, 224]])


def test_no_boxes_stay_no_boxes():
    none = np.zeros((0, 4), np.float32)
    assert Geometry().boxes_to_frame(none, width=50, height=60).shape == (0, 4)


@pytest.mark.parametrize(("arguments", "message"), [(("voc", 224), "protocol"), (("lctr", 0), "image_size")])
def test_user_mistakes_name_the_input(arguments, message):
    # Bypasses the run-time type check, which users do not have.
    geometry = object.__new__(Geometry)
    object.__setattr__(geometry, "protocol", arguments[0])
    object.__setattr__(geometry, "image_size", arguments[1])
    with pytest.raises(ValueError, match=message):
        geometry.__post_init__()

"""Crops, masks and score maps of a prediction as files; maps as wsoleval's evaluator reads them."""

import cv2
import numpy as np
import pytest
from PIL import Image
from test_predict import checkpoint, predict, write_image  # noqa: F401

from lctr_jax.inference.images import read_upright
from lctr_jax.inference.loading import load


@pytest.fixture(scope="module")
def saved(checkpoint, tmp_path_factory):  # noqa: F811
    root = tmp_path_factory.mktemp("saved")
    for name, seed in (("cat/x.jpg", 0), ("cat/x.png", 1), ("dog/deep/y.png", 2)):
        write_image(root / "images" / name, seed=seed)
    options = ("--save", "crops,masks,maps", "--boxes", "all", "--threshold", 0.5)
    return root, predict(checkpoint, root / "out", root / "images", *options)


def test_the_folders_of_the_images_are_kept(saved):
    root, lines = saved
    assert [line["saved"]["masks"] for line in lines] == [
        ["masks/cat/x.png"],
        ["masks/cat/x_2.png"],
        ["masks/dog/deep/y.png"],
    ]
    assert [line["saved"]["maps"] for line in lines] == [[f"maps/{line['file']}.npy"] for line in lines]
    for line in lines:
        for names in line["saved"].values():
            assert all((root / "out" / name).is_file() for name in names)


def test_a_crop_is_the_image_inside_its_box(saved):
    root, lines = saved
    for line in lines:
        boxes = [box["box"] for box in line["boxes"] if box["found"]]
        assert len(line["saved"]["crops"]) == len(boxes) > 0
        image = read_upright(root / "images" / line["file"]).astype(int)
        for name, box in zip(line["saved"]["crops"], boxes, strict=True):
            x0, y0, x1, y1 = np.round(box).astype(int)
            with Image.open(root / "out" / name) as crop:
                assert crop.size == (max(x1 - x0, 1), max(y1 - y0, 1))
                inside = image[y0:y1, x0:x1]
                if inside.size:
                    assert abs(np.asarray(crop).astype(int).mean() - inside.mean()) < 12  # JPEG


def test_a_mask_has_the_image_s_size_and_two_values_and_fills_the_boxes(saved):
    root, lines = saved
    for line in lines:
        with Image.open(root / "out" / line["saved"]["masks"][0]) as image:
            mask = np.asarray(image)
        assert mask.shape == (line["height"], line["width"])
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        found = np.array([box["box"] for box in line["boxes"] if box["found"]])
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        union = [*found[:, :2].min(0), *found[:, 2:].max(0)]
        np.testing.assert_allclose(bounds, union, atol=1.5)


def evaluate_as_wsoleval(score_map, threshold, truth, *, side=224):
    """IoU of the box that wsoleval's evaluator makes of a saved map, written from its rules."""
    assert isinstance(score_map, np.ndarray)
    assert score_map.dtype == float
    assert score_map.ndim == 2
    assert not np.isnan(score_map).any()
    assert score_map.min() >= 0
    assert score_map.max() <= 1
    gray = np.expand_dims((score_map * 255).astype(np.uint8), 2)
    _, binary = cv2.threshold(gray, int(threshold * np.max(gray)), 255, cv2.THRESH_BINARY)
    contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    box = [x, y, min(x + width, score_map.shape[1] - 1), min(y + height, score_map.shape[0] - 1)]
    overlap = [max(0, min(box[i + 2], truth[i + 2]) - max(box[i], truth[i]) + 1) for i in (0, 1)]
    areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, truth)]
    return overlap[0] * overlap[1] / (sum(areas) - overlap[0] * overlap[1])


def test_maps_give_wsolevals_evaluator_the_boxes_of_our_protocol(saved, checkpoint):  # noqa: F811
    from lctr_jax.localization.boxes import box_iou
    from lctr_jax.localization.measurement import boxes_by_cut
    from lctr_jax.localization.protocols import WSOLEVAL_PROTOCOL
    from lctr_jax.localization.thresholds import Threshold

    root, lines = saved
    truth = np.array([20, 30, 180, 200])
    for line in lines:
        image_id = line["file"]  # wsoleval's loader: join(scoremap_root, image_id + ".npy")
        score_map = np.load(root / "out" / "maps" / f"{image_id}.npy")
        assert score_map.shape == (224, 224)
        (prediction,) = load(checkpoint).localize(root / "images" / image_id)
        boxes = boxes_by_cut(prediction.localization_map, protocol=WSOLEVAL_PROTOCOL, image_size=224)
        for threshold in (0.1, 0.5, 0.8):
            (expected,) = box_iou(boxes[Threshold(threshold).cut][None], truth[None], closed=True)
            assert evaluate_as_wsoleval(score_map, threshold, truth) == pytest.approx(expected, abs=1e-9)


def test_several_classes_have_a_folder_each(checkpoint, tmp_path):  # noqa: F811
    write_image(tmp_path / "images" / "x.png")
    (line,) = predict(
        checkpoint, tmp_path / "out", tmp_path / "images", "--classes", "fox,cat", "--save", "masks,maps"
    )
    assert line["saved"] == {
        "masks": ["masks/5/x.png", "masks/0/x.png"],
        "maps": ["maps/5/x.png.npy", "maps/0/x.png.npy"],
    }
    first, second = (np.load(tmp_path / "out" / name) for name in line["saved"]["maps"])
    assert not np.array_equal(first, second)


def test_a_name_of_255_bytes_can_be_saved(checkpoint, tmp_path):  # noqa: F811
    image = write_image(tmp_path / f"{'x' * 251}.png")
    (line,) = predict(checkpoint, tmp_path / "out", image, "--save", "crops,masks,maps")
    assert all((tmp_path / "out" / name).is_file() for names in line["saved"].values() for name in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--save", "crops,heat"], "--save: got 'heat', expected some of crops,masks,maps"),
        (["--save", "maps", "--geometry", "lctr"], "--save maps: got --geometry lctr, expected wsoleval"),
    ],
)
def test_parts_that_cannot_be_saved_are_one_line(options, message, checkpoint, tmp_path, capsys):  # noqa: F811
    predict(checkpoint, tmp_path / "out", write_image(tmp_path / "x.png"), *options, status=2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

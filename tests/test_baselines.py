"""Content-free predictors: known values for CUB's public list, and small lists computed by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from lctr_jax import baselines
from lctr_jax.localization.boxes import box_iou
from lctr_jax.localization.content_free import ContentFree, centered_gaussian, centered_squares
from lctr_jax.localization.pixels import average_precision, score_histograms
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL

CUB = Path(__file__).parents[2] / "shared" / "data" / "wsoleval_cub_test"


def write_list(folder, boxes, sizes):
    lines = [f"{name},{','.join(map(str, box))}" for name, images in boxes.items() for box in images]
    (folder / "localization.txt").write_text("\n".join(lines) + "\n")
    lines = [f"{name},{width},{height}" for name, (width, height) in sizes.items()]
    (folder / "image_sizes.txt").write_text("\n".join(lines) + "\n")
    return folder / "localization.txt"


@pytest.fixture
def small_list(tmp_path):
    """In 224 x 224: a centered square of 120, the whole image, a corner beside a centered square of 90."""
    boxes = {
        "a/1.jpg": [(52, 52, 172, 172)],
        "a/2.jpg": [(0, 0, 448, 448)],
        "b/3,comma.jpg": [(0, 0, 20, 20), (67, 67, 157, 157)],
    }
    return write_list(
        tmp_path, boxes, {"a/1.jpg": (224, 224), "a/2.jpg": (448, 448), "b/3,comma.jpg": (224, 224)}
    )


def run(arguments, tmp_path):
    baselines.main([*map(str, arguments), "--json", str(tmp_path / "out.json")])
    return json.loads((tmp_path / "out.json").read_text())


@pytest.mark.skipif(not CUB.is_dir(), reason="needs ../shared/data/wsoleval_cub_test")
def test_cub_under_wsoleval(tmp_path):
    result = run([CUB / "localization.txt", "--image-sizes", CUB / "image_sizes.txt"], tmp_path)
    assert result["num_images"] == 5794
    square, full = result["baselines"]["centered_box"], result["baselines"]["full_image"]
    assert list(square["gt_known_loc_by_iou"].values()) == pytest.approx([93.91, 59.60, 17.00], abs=0.005)
    assert square["max_box_acc"] == pytest.approx(59.60, abs=0.005)
    assert square["max_box_acc_v2"] == pytest.approx((93.91 + 59.60 + 17.00) / 3, abs=0.005)
    assert list(full["gt_known_loc_by_iou"].values()) == pytest.approx([53.95, 18.95, 4.56], abs=0.005)


@pytest.mark.skipif(not CUB.is_dir(), reason="needs ../shared/data/wsoleval_cub_test")
def test_cub_under_lctr(tmp_path):
    result = run([CUB / "localization.txt", "--protocol", "lctr"], tmp_path)
    assert result["baselines"]["centered_box"]["gt_known_loc"] == pytest.approx(69.8, abs=0.05)
    assert result["baselines"]["full_image"]["gt_known_loc"] == pytest.approx(50.43, abs=0.005)


def test_a_small_list(small_list, tmp_path):
    result = run([small_list], tmp_path)
    assert (result["protocol"], result["num_images"]) == ("wsoleval", 3)
    full, square = result["baselines"]["full_image"], result["baselines"]["centered_box"]
    assert full["gt_known_loc"] == pytest.approx(100 / 3)
    assert full["gt_known_loc_by_iou"]["0.3"] == pytest.approx(100 / 3)
    # Sides must agree within the square root of the IoU: 0.71 allows two of the three, 0.55 all.
    assert square["gt_known_loc"] == pytest.approx(200 / 3)
    assert square["gt_known_loc_by_iou"]["0.3"] == 100
    assert (full["size_source"], square["size_source"]) == ("fixed", "oracle")


def test_the_first_box_only(small_list, tmp_path):
    result = run([small_list, "--first-box-only"], tmp_path)
    assert result["baselines"]["centered_box"]["gt_known_loc_by_iou"]["0.3"] == pytest.approx(200 / 3)


def test_the_best_square_is_the_best_of_all_sizes_tried_one_by_one():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 224, (30, 2, 2)), axis=1).reshape(-1, 4).astype(np.float64)
    predictors = ContentFree(WSOLEVAL_PROTOCOL)
    predictors.add(corners[:10], np.ones(10, int))
    predictors.add(corners[10:], np.full(10, 2))
    truths = [corners[i : i + 1] for i in range(10)] + [corners[i : i + 2] for i in range(10, 30, 2)]
    best = 0
    for side in range(2, 225, 2):
        square = np.array(
            [[112 - side / 2, 112 - side / 2, min(112 + side / 2, 223), min(112 + side / 2, 223)]]
        )
        hits = sum(bool(box_iou(square, truth, closed=True).max() >= 0.5) for truth in truths)
        best = max(best, hits)
    assert predictors.summarize()["centered_box"]["gt_known_loc"] == pytest.approx(100 * best / 20)


@pytest.mark.parametrize("image_size", [7, 48, 224])
@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
def test_every_family_reaches_the_full_frame(protocol, image_size):
    predictors = ContentFree(protocol, image_size=image_size)
    predictors.add(centered_squares(protocol, image_size=image_size)[-1:].astype(float), np.array([1]))
    for row in predictors.summarize().values():
        assert row["gt_known_loc"] == 100


def test_sums_of_parts_add_up():
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.integers(0, 224, (20, 2, 2)), axis=1).reshape(-1, 4).astype(np.float64)
    whole, first, second = (ContentFree(LCTR_PROTOCOL) for _ in range(3))
    whole.add(boxes, np.full(10, 2))
    first.add(boxes[:6], np.array([2, 0, 2, 2]))
    second.add(boxes[6:], np.full(7, 2))
    first.merge(second.sums())
    assert first.summarize() == whole.summarize()
    assert first.sums().images == 10


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("a.jpg,10\n", "expected `path,width,height` in whole pixels, got 'a.jpg,10'"),
        ("a.jpg,10,0\n", "expected `path,width,height` in whole pixels"),
        ("b.jpg,10,10\n", "none for 1 of the list's 1 images, first 'a.jpg'"),
    ],
)
def test_bad_image_sizes_are_one_clear_line(tmp_path, capsys, sizes, message):
    (tmp_path / "list.txt").write_text("a.jpg,1,2,3,4\n")
    (tmp_path / "sizes.txt").write_text(sizes)
    with pytest.raises(SystemExit, match="2"):
        baselines.main([str(tmp_path / "list.txt"), "--image-sizes", str(tmp_path / "sizes.txt")])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    "arguments", [["nowhere.txt"], ["list.txt"], ["list.txt", "--image-sizes", "nowhere.txt"]]
)
def test_missing_files_are_named(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.jpg,1,2,3,4\n")
    with pytest.raises(SystemExit, match="2"):
        baselines.main(arguments)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert ("nowhere.txt" if "nowhere.txt" in arguments else "image_sizes.txt") in error


def test_pxap_of_predictors_that_never_look():
    """Against the same maps measured as a network's."""
    rng = np.random.default_rng(0)
    masks = [rng.choice(np.array([0, 1, 255], np.uint8), (SIDE, SIDE)) for _ in range(3)]
    masks[0][8:24, 8:24] = 1  # a central object, so the Gaussian is better than chance
    predictors = ContentFree(LCTR_PROTOCOL, image_size=SIDE)
    for mask in masks:
        predictors.add(np.zeros((0, 4)), np.array([0]))
        predictors.add_mask(mask)
    summary = predictors.summarize()
    assert set(summary) == {"full_image", "centered_gaussian"}
    counted = np.concatenate([mask[mask != 255] for mask in masks])
    assert summary["full_image"] == {"pxap": pytest.approx(100 * (counted == 1).mean())}
    gaussian = centered_gaussian(SIDE)
    frame = (gaussian - gaussian.min()) / np.ptp(gaussian)
    pooled = np.sum([score_histograms(frame, mask, step=0.001) for mask in masks], axis=0)
    assert summary["centered_gaussian"] == {"pxap": pytest.approx(average_precision(pooled))}
    assert summary["centered_gaussian"]["pxap"] > summary["full_image"]["pxap"]


SIDE = 32

"""Images with an EXIF rotation: rotated in training, evaluation and prediction alike, or read as stored."""

from typing import Any

import numpy as np
import pytest
from animals import by_id, open_split, save
from PIL import Image

from lctr_jax import prepare
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.checks import BadRecordsError
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.pipeline import train_batches
from lctr_jax.data.samples import EvaluationSample
from lctr_jax.inference.images import read_upright

SIZE = (40, 30)


def sideways(path):
    """A picture to be turned by 90 degrees, whose right half, stored, is bright."""
    tags = Image.Exif()
    tags[0x0112] = 6
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[:, 20:] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=tags)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "animals"
    for split in ("train", "val"):
        for name in ("cat", "ape"):
            for number in range(2):
                sideways(root / split / name / f"{number}.png")
    return root


def frames(split, geometry):
    samples: list[Any] = [EvaluationSample(split, geometry).map(index) for index in range(len(split))]
    return {sample["record"]["id"]: sample for sample in samples}


@pytest.mark.parametrize("protocol", ["lctr", "wsoleval"])
def test_evaluation_sees_what_prediction_sees(root, protocol):
    geometry = Geometry(protocol=protocol, image_size=32)
    val = open_split(root, "val")
    assert val.upright
    seen = frames(val, geometry)
    for name, sample in seen.items():
        np.testing.assert_array_equal(
            sample["image"], geometry.transform_image(read_upright(root / "val" / name))
        )
        assert (sample["record"]["width"], sample["record"]["height"]) == SIZE[::-1]
    assert len(seen) == 4
    assert val.notes[-1] == "val: 4 images with an EXIF rotation, turned upright (data.exif)"


@pytest.mark.parametrize("fast_decode", [False, True])
def test_training_sees_them_upright(root, fast_decode):
    augmentation = Augmentation(
        crop_scale=(1.0, 1.0), crop_ratio=(0.75, 0.75), horizontal_flip=0.0, fast_decode=fast_decode
    )
    for exif, darker, brighter in (("upright", np.s_[:, :6], np.s_[:, 10:]), ("stored", None, None)):
        split = open_split(root, "train", exif=exif)
        batch = next(train_batches(split, batch_size=2, image_size=16, seed=0, augmentation=augmentation))
        top_to_bottom = batch["image"].mean((2, 3))
        if exif == "upright":
            assert (top_to_bottom[darker] < 60).all()
            assert (top_to_bottom[brighter] > 190).all()
        else:
            assert (np.ptp(top_to_bottom, axis=1) < 30).all()


def test_a_box_list_or_masks_keep_their_split_as_stored(root):
    (root / "list").mkdir()
    (root / "list" / "val_boxes.txt").write_text("cat/0.png 1 20 0 40 30\n")
    val, train = open_split(root, "val"), open_split(root, "train")
    assert (val.upright, train.upright) == (False, True)
    sample = frames(val, Geometry(image_size=32))["cat/0.png"]["record"]
    assert (sample["width"], sample["height"]) == SIZE
    assert (
        "val: 4 images with an EXIF rotation, read as stored for its boxes or masks (data.exif)" in val.notes
    )
    assert "train: 4 images with an EXIF rotation, turned upright (data.exif)" in val.notes
    (root / "list" / "val_boxes.txt").unlink()
    save(root / "masks" / "val" / "cat" / "0.png", mode="L", size=SIZE)
    assert not open_split(root, "val").upright


def test_the_option_overrides_and_boxes_are_checked_in_its_frame(root):
    (root / "list").mkdir()
    path = root / "list" / "val_boxes.txt"
    path.write_text("cat/0.png 1 0 20 30 40\n")  # drawn on the upright picture
    with pytest.raises(
        BadRecordsError, match=r"outside the image of 40x30 pixels; .*: try data\.exif=upright"
    ):
        open_split(root, "val")
    val = open_split(root, "val", exif="upright")
    assert val.upright
    np.testing.assert_array_equal(by_id(val)["cat/0.png"]["boxes_xyxy"], [[0, 20, 30, 40]])
    path.write_text("cat/0.png 1 20 0 40 30\n")
    with pytest.raises(BadRecordsError, match=r"try data\.exif=stored"):
        open_split(root, "val", exif="upright")
    path.unlink()
    assert not open_split(root, "val", exif="stored").upright


def test_data_sets_with_boxes_on_stored_pixels_refuse_it(tmp_path):
    with pytest.raises(
        ValueError, match=r"data\.exif: got 'upright', but cub has its boxes on images as stored"
    ):
        open_split(tmp_path, "val", name="cub", exif="upright")


def test_prepare_says_so_too(root, capsys):
    prepare.main(
        ["folder", "--source", str(root), "--data_dir", str(root.parent / "prepared"), "--exif", "stored"]
    )
    assert "val: 4 images with an EXIF rotation, read as stored (data.exif)" in capsys.readouterr().err

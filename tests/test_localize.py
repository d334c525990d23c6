"""`lctr_jax.load(PATH).localize(...)`: the same predictions from images, arrays, files and folders."""

import re

import numpy as np
import pytest
from PIL import Image
from test_imports import ROOT
from test_predict import checkpoint, predict, write_image  # noqa: F401

import lctr_jax
from lctr_jax.inference.sources import read_sources


@pytest.fixture(scope="module")
def model(checkpoint):  # noqa: F811
    return lctr_jax.load(checkpoint)


def test_every_source_gives_what_the_command_gives(model, checkpoint, tmp_path):  # noqa: F811
    paths = [write_image(tmp_path / "images" / f"{index}.png", seed=index) for index in range(3)]
    lines = predict(checkpoint, tmp_path / "out", tmp_path / "images")
    images = [Image.open(path) for path in paths]
    sources = {
        "folder": tmp_path / "images",
        "text": str(tmp_path / "images"),
        "paths": paths,
        "images": images,
        "arrays": [np.asarray(image) for image in images],
        "BGR, reversed": [np.asarray(image)[..., ::-1].copy()[..., ::-1] for image in images],
        "mixed": [paths[0], images[1], np.asarray(images[2])],
    }
    for name, source in sources.items():
        predictions = model.localize(source)
        assert all(isinstance(prediction, lctr_jax.Prediction) for prediction in predictions)
        for prediction, line in zip(predictions, lines, strict=True):
            (boxed,) = prediction.boxed
            np.testing.assert_allclose(boxed.box_xyxy, line["box"], atol=0.01, err_msg=name)
            assert boxed.threshold == pytest.approx(line["threshold"], abs=1e-4)
            assert [ranked.label for ranked in prediction.top] == line["top5"]
    assert [prediction.path for prediction in model.localize(tmp_path / "images", batch_size=2)] == paths
    assert model.localize([]) == []
    assert model.localize(images[0])[0].path is None


def test_options_are_those_of_the_localizer(model, tmp_path):
    (prediction,) = model.localize(write_image(tmp_path / "x.png"), classes=["fox", "cat"], threshold=0.5)
    assert [boxed.name for boxed in prediction.boxed] == ["fox", "cat"]
    assert {boxed.threshold for boxed in prediction.boxed} == {0.5}


def test_a_photograph_held_upright_is_turned_wherever_it_comes_from(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write_image(tmp_path / "x.jpg", width=60, height=40, exif=exif)
    for source in (path, Image.open(path)):
        assert model.localize(source)[0].image.shape == (60, 40, 3)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (
            np.zeros((4, 4), np.uint8),
            ValueError,
            r"images: got uint8 \[4, 4\], expected uint8 \[height, width, 3\]",
        ),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"got uint8 \[4, 4, 4\]"),
        ([np.zeros((4, 4, 3))], ValueError, r"images\[0\]: got float64 \[4, 4, 3\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), ValueError, "give several as a list"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"got uint8 \[0, 4, 3\]"),
        ("nowhere.jpg", FileNotFoundError, "nowhere.jpg: no such image or folder"),
    ],
)
def test_what_is_no_image_is_told(source, error, message, model):
    with pytest.raises(error, match=message):
        model.localize(source)


def test_a_source_of_another_type_is_told():
    with pytest.raises(TypeError, match=r"images\[1\]: got int, expected a PIL image, an array or a path"):
        list(read_sources([Image.new("RGB", (4, 4)), 7]))


def test_a_damaged_file_is_named(model, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.png: cannot decode the image"):
        model.localize([write_image(tmp_path / "y.png"), path])


@pytest.mark.parametrize("page", ["README.md", "docs/predict.md"])
def test_the_python_of_the_pages_runs_as_it_stands(page, checkpoint, tmp_path, monkeypatch, capsys):  # noqa: F811
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    assert any(".localize(" in block for block in blocks)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(checkpoint)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, page, "exec"), {})
        assert capsys.readouterr().out

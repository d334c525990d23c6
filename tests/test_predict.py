"""Localization in a user's images by the command line: its output, and each user error."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from test_localizer import NAMES, SPEC

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.inference.image_search import count_images, find_images
from lctr_jax.inference.images import read_upright
from lctr_jax.inference.localizer import Localizer
from lctr_jax.models.parameters import initialize
from lctr_jax.predict import main
from lctr_jax.report.prediction_folder import MAX_ITEMS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "weights"
    parameters = initialize(SPEC, jax.random.key(0))
    save_weights(path, Metadata(kind="network", spec=SPEC, class_names=NAMES), parameters)
    return path


def write_image(path, *, width=60, height=40, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def predict(checkpoint, out, *arguments, status=0):
    command = ["--checkpoint", str(checkpoint), "--out", str(out), *map(str, arguments)]
    if status:
        with pytest.raises(SystemExit) as exit_:
            main(command)
        assert exit_.value.code == status
    else:
        main(command)
    lines = out / "predictions.jsonl"
    return [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []


def test_a_folder_gives_lines_pictures_and_a_page(checkpoint, tmp_path):
    for name in ("a/x.jpg", "b/x.png", "b/deep/X.gif"):
        write_image(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    lines = predict(checkpoint, tmp_path / "out", tmp_path / "images", "--threshold", 0.2)
    assert [line["id"].removeprefix(f"{tmp_path}/images/") for line in lines] == [
        "a/x.jpg",
        "b/deep/X.gif",
        "b/x.png",
    ]
    assert [line["overlay"] for line in lines] == [
        "overlays/a/x.jpg",
        "overlays/b/deep/X.jpg",
        "overlays/b/x.jpg",
    ]
    for line in lines:
        with Image.open(tmp_path / "out" / line["overlay"]) as picture:
            assert picture.width == 60
        x0, y0, x1, y1 = line["box"]
        assert 0 <= x0 < x1 <= line["width"] == 60
        assert 0 <= y0 < y1 <= line["height"] == 40
        assert line["names"] == [NAMES[label] for label in line["top5"]]
        assert line["probability"] == sorted(line["probability"], reverse=True)
        assert (line["threshold"], line["threshold_source"], line["geometry"]) == (0.2, "given", "wsoleval")
        assert line["boxes"][0]["box"] == line["box"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count('class="gallery-item"') == 3
    assert "<b>owl" not in page


def test_the_same_network_gives_the_same_as_the_library(checkpoint, tmp_path):
    import lctr_jax

    image = write_image(tmp_path / "x.png")
    (line,) = predict(checkpoint, tmp_path / "out", image)
    frame = Image.open(image).resize((32, 32), Image.Resampling.BILINEAR)
    normalized = (np.asarray(frame, np.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    logits = np.asarray(lctr_jax.load(checkpoint)(normalized[None].astype(np.float32)).logits[0], np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert line["top5"] == np.argsort(-probabilities)[:5].tolist()
    np.testing.assert_allclose(line["probability"], np.sort(probabilities)[::-1][:5], atol=1e-5)


def test_unreadable_files_are_told_and_skipped_and_the_status_is_1(checkpoint, tmp_path, capsys):
    images = tmp_path / "images"
    whole = write_image(images / "whole.png")
    (images / "cut.png").write_bytes(whole.read_bytes()[:200])
    (images / "empty.jpg").write_bytes(b"")
    lines = predict(checkpoint, tmp_path / "out", images, status=1)
    assert [line["id"] for line in lines] == [str(whole)]
    told = capsys.readouterr().err
    assert f"skipped {images / 'cut.png'}: " in told
    assert f"skipped {images / 'empty.jpg'}: " in told
    assert "Traceback" not in told
    page = (tmp_path / "out" / "index.html").read_text()
    assert "2 more could not be read" in page
    assert "empty.jpg" in page


def test_no_readable_image_at_all(checkpoint, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    assert predict(checkpoint, tmp_path / "out", broken, status=1) == []
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "missing.jpg: no such image or folder"),
        (["empty"], "empty: no images in this folder"),
        (["x.png", "--threshold", "1.5"], "threshold: got 1.5"),
        (
            ["x.png", "--classes", "cat,dragon"],
            "classes: got 'dragon', expected names such as 'cat', or numbers",
        ),
        (["x.png", "--classes", "6"], "classes: got '6'"),
        (["x.png", "--batch-size", "0"], "batch size: got 0"),
    ],
)
def test_other_mistakes_are_one_line_and_status_2(
    arguments, message, checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "x.png")
    (tmp_path / "empty").mkdir()
    predict(checkpoint, tmp_path / "out", *arguments, status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_missing_checkpoint_is_one_line(tmp_path, capsys):
    predict(tmp_path / "nowhere", tmp_path / "out", write_image(tmp_path / "x.png"), status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere: no such file or folder" in line


def test_the_user_s_own_pictures_are_never_overwritten(checkpoint, tmp_path):
    mine = write_image(tmp_path / "x_boxes.jpg", seed=1)
    before = mine.read_bytes()
    lines = predict(checkpoint, tmp_path, write_image(tmp_path / "x.png"), mine)
    assert mine.read_bytes() == before
    assert [line["overlay"] for line in lines] == ["overlays/x.jpg", "overlays/x_boxes.jpg"]


def test_a_second_run_does_not_read_the_first_one_s_pictures(checkpoint, tmp_path):
    write_image(tmp_path / "x.png")
    for _ in range(2):
        assert len(predict(checkpoint, tmp_path / "out", tmp_path)) == 1


def test_a_folder_is_not_its_own_output(tmp_path):
    write_image(tmp_path / "x.png")
    with pytest.raises(ValueError, match="is one of the image folders to read"):
        count_images([tmp_path], out=tmp_path)


def test_an_image_named_twice_is_read_once(tmp_path):
    image = write_image(tmp_path / "x.png")
    assert list(find_images([image, tmp_path], out=tmp_path / "out")) == [image]


def test_a_photograph_held_upright_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the right for viewing
    path = write_image(tmp_path / "x.png", width=60, height=40, exif=exif)
    with Image.open(path) as stored:
        expected = np.rot90(np.asarray(stored), k=-1)
    np.testing.assert_array_equal(read_upright(path), expected)


def test_a_large_folder_s_page_stays_bounded(checkpoint, tmp_path):
    image = write_image(tmp_path / "images" / "0.png", width=8, height=8)
    for index in range(1, MAX_ITEMS + 20):
        (image.parent / f"{index}.png").write_bytes(image.read_bytes())
    lines = predict(checkpoint, tmp_path / "out", image.parent, "--batch-size", 64)
    assert len(lines) == MAX_ITEMS + 20
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count('class="gallery-item"') == MAX_ITEMS
    assert f"{MAX_ITEMS} of them here" in page


def test_a_name_of_255_bytes_gets_an_overlay(checkpoint, tmp_path):
    for name in ("x" * 251 + ".png", "é" * 125 + "y.png"):
        (line,) = predict(checkpoint, tmp_path / "out", write_image(tmp_path / name))
        assert (tmp_path / "out" / line["overlay"]).exists()


def test_links_that_lead_in_circles_end_and_every_image_is_found_once(tmp_path):
    image = write_image(tmp_path / "images" / "a" / "x.png")
    (tmp_path / "images" / "a" / "up").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "self.png").symlink_to(tmp_path / "images" / "self.png")
    (tmp_path / "images" / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    assert list(find_images([tmp_path / "images"], out=tmp_path / "out")) == [image]
    assert count_images([tmp_path / "images"], out=tmp_path / "out") == 1


def test_an_interrupted_run_goes_on_where_it_stopped(checkpoint, tmp_path, monkeypatch, capsys):
    for index in range(6):
        write_image(tmp_path / "images" / f"{index}.png", seed=index)
    arguments = (tmp_path / "images", "--batch-size", 2)
    expected = predict(checkpoint, tmp_path / "whole", *arguments)
    start, calls = Localizer.start, []

    def interrupted(self, images, labels=None):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return start(self, images)

    monkeypatch.setattr(Localizer, "start", interrupted)
    assert len(predict(checkpoint, tmp_path / "out", *arguments, status=130)) == 2  # the network is ahead
    with (tmp_path / "out" / "predictions.jsonl").open("a") as file:
        file.write('{"id": "torn')
    assert predict(checkpoint, tmp_path / "out", *arguments) == expected
    assert calls == [2, 2, 2, 2, 2]  # two calls after the interruption
    assert "resuming: 2 of 6 images are done" in capsys.readouterr().err
    assert (tmp_path / "out" / "index.html").read_text().count('class="gallery-item"') == 6
    predict(checkpoint, tmp_path / "out", *arguments)
    assert calls == [2] * 8  # a finished run starts anew


def test_folder_names_regions_and_annotations(checkpoint, tmp_path, capsys):
    for name in ("cat/x.jpg", "dog/x.jpg", "unknown/y.jpg"):
        write_image(tmp_path / "images" / name)
    options = ("--classes", "folder", "--boxes", "all", "--min-area", 0.01, "--threshold", 0.5)
    lines = predict(
        checkpoint, tmp_path / "out", tmp_path / "images", *options, "--annotations", "coco,csv,voc"
    )
    assert [line["file"] for line in lines] == ["cat/x.jpg", "dog/x.jpg", "unknown/y.jpg"]
    assert [line["boxes"][0]["name"] for line in lines[:2]] == ["cat", "dog"]
    assert lines[2]["boxes"][0]["label"] == lines[2]["top5"][0]
    written = json.loads((tmp_path / "out/annotations/coco.json").read_text())
    boxes = [box for line in lines for box in line["boxes"] if box["found"]]
    assert [entry["category_id"] - 1 for entry in written["annotations"]] == [box["label"] for box in boxes]
    assert [entry["score"] for entry in written["annotations"]] == [box["score"] for box in boxes]
    assert {path.name for path in (tmp_path / "out/annotations/voc").rglob("*.xml")} == {"x.xml", "y.xml"}
    assert (tmp_path / "out/annotations/boxes.csv").is_file()
    assert "threshold 0.5: given" in capsys.readouterr().err


@pytest.mark.parametrize("classes", ["folder", "dog"])
def test_an_image_in_a_folder_of_no_class_is_told(classes, checkpoint, tmp_path, capsys):
    write_image(tmp_path / "images" / "unknown" / "x.png")
    predict(checkpoint, tmp_path / "out", tmp_path / "images", "--classes", classes)
    told = "1 image in folders that are not classes of the network, such as 'unknown'"
    assert (told in capsys.readouterr().err) == (classes == "folder")


def test_an_output_that_is_not_finite_is_told_and_gives_no_box(tmp_path, capsys):
    parameters = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), initialize(SPEC, jax.random.key(0)))
    save_weights(tmp_path / "nan", Metadata(kind="network", spec=SPEC), parameters)
    image = write_image(tmp_path / "x.png")
    assert predict(tmp_path / "nan", tmp_path / "out", image, status=1) == []
    told = capsys.readouterr().err
    assert f"skipped {image}: the network's output is not finite (NaN or infinity)" in told
    assert "Traceback" not in told
    assert "not finite" in (tmp_path / "out" / "index.html").read_text()


def test_an_unknown_annotation_format_ends_before_anything_is_written(checkpoint, tmp_path, capsys):
    image = write_image(tmp_path / "x.png")
    predict(checkpoint, tmp_path / "out", image, "--annotations", "kitti", status=2)
    assert "--annotations: got 'kitti'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

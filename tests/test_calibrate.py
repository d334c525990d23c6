"""A threshold calibrated on a few boxes: chosen by the evaluation's rule, stored, and used by predictions."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image
from test_localizer import NAMES, SPEC, FakeModel
from test_predict import predict, write_image

from lctr_jax.annotations.formats import write_annotations
from lctr_jax.calibrate import main
from lctr_jax.checkpoints.checksums import find_damage
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_metadata, save_weights
from lctr_jax.checkpoints.stored_calibration import FILE, Calibration, read_calibration, write_calibration
from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.box_accuracy import MeasuredMap, TrueImage, measure_maps
from lctr_jax.inference.calibration import calibrate
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.threshold import resolve_threshold
from lctr_jax.localization.boxes import box_iou
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.parameters import initialize

CALIBRATION = Calibration(
    threshold=0.31,
    interval_95=(0.22, 0.4),
    box_accuracy=80.0,
    box_accuracy_interval_95=(60.0, 95.0),
    source="boxes.csv",
    num_images=18,
    num_boxes=20,
    geometry="wsoleval",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "weights"
    save_weights(
        path,
        Metadata(kind="network", spec=SPEC, class_names=NAMES),
        initialize(SPEC, jax.random.key(0)),
    )
    return path


@pytest.fixture
def checkpoint(weights, tmp_path):
    return shutil.copytree(weights, tmp_path / "weights")


@pytest.fixture
def images(tmp_path):
    for index in range(4):
        write_image(tmp_path / "images" / "cat" / f"{index}.png", seed=index)
    return tmp_path / "images"


def run(checkpoint, images, boxes, *options, status=0):
    command = ["--checkpoint", str(checkpoint), "--images", str(images), "--boxes", str(boxes), *options]
    if status:
        with pytest.raises(SystemExit) as exit_:
            main(command)
        assert exit_.value.code == status
    else:
        main(command)


def write_list(path, lines):
    path.write_text("file,class,x0,y0,x1,y1\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_a_prediction_uses_and_reports_the_calibrated_threshold(checkpoint, images, tmp_path, capsys):
    before = load_metadata(checkpoint)
    boxes = write_list(tmp_path / "boxes.csv", [f"cat/{i}.png,cat,5,5,40,30" for i in range(4)])
    run(checkpoint, images, boxes)
    told = capsys.readouterr().out
    stored = json.loads((checkpoint / FILE).read_text())
    assert f"{boxes}: 4 boxes of 4 images" in told
    low, high = stored["interval_95"]
    source = f"calibrated on 4 boxes of {boxes}, 95 % interval {low:.3g} to {high:.3g}"
    assert f"threshold {stored['threshold']:.3g}: {source}" in told
    assert low <= stored["threshold"] <= high
    assert find_damage(checkpoint) is None
    assert load_metadata(checkpoint) == before
    lines = predict(checkpoint, tmp_path / "out", images)
    assert {(line["threshold"], line["threshold_source"]) for line in lines} == {
        (round(stored["threshold"], 4), source)
    }
    assert f"threshold {stored['threshold']:.3g}: {source}" in capsys.readouterr().err
    assert source in (tmp_path / "out" / "index.html").read_text()
    run(checkpoint, images, boxes)
    assert f"replaced: threshold {stored['threshold']:.3g}, {source}" in capsys.readouterr().out


def test_the_threshold_is_the_first_of_best_accuracy_and_its_interval_resamples_the_images():
    rng = np.random.default_rng(0)
    levels = np.zeros((2, 2), np.uint8)
    starts = rng.integers(20, 100, 30)
    ious = np.array([(np.arange(256) >= start) & (np.arange(256) < start + 60) for start in starts]) * 0.7
    measured = [MeasuredMap(f"{index}.png", levels, row) for index, row in enumerate(ious)]
    calibration = calibrate(measured, source="list", num_boxes=30, geometry="lctr")
    accuracy = (ious >= 0.5).mean(0)
    cut = Threshold(calibration.threshold).cut
    assert cut == np.argmax(accuracy[:255])
    assert calibration.box_accuracy == pytest.approx(100 * accuracy.max())
    chosen = []
    for _ in range(300):
        sample = ious[rng.integers(0, len(ious), len(ious))]
        chosen.append(np.argmax((sample >= 0.5).mean(0)[:255]) / 255)
    expected = np.percentile(chosen, [2.5, 97.5])
    np.testing.assert_allclose(calibration.interval_95, expected, atol=0.06)
    assert "--geometry lctr" in calibration.describe()
    one = calibrate(measured[:1], source="list", num_boxes=1, geometry="lctr")
    assert Threshold(one.threshold).cut == starts[0]
    assert one.interval_95 == (one.threshold, one.threshold)


def test_the_accuracy_is_that_of_the_predicted_box():
    geometry = Geometry("wsoleval", 32)
    truth = np.array([[0.0, 0.0, 50.0, 25.0]])
    image = np.zeros((50, 100, 3), np.uint8)
    models = {"upper left": FakeModel(slice(0, 2), slice(0, 2)), "flat": FakeModel(slice(0, 4), slice(0, 4))}
    for name, model in models.items():
        localizer = Localizer(model, geometry=geometry, threshold=Threshold(0.4), batch_size=2)
        true_images = [TrueImage(str(index), image, truth) for index in range(3)]
        measured = list(measure_maps(localizer, true_images, geometry=geometry))
        assert [each.name for each in measured] == ["0", "1", "2"]
        (boxed,) = localizer([image])[0].boxed
        expected = box_iou(boxed.box_xyxy[None], truth, closed=False)[0] if boxed.found else 0.0
        for each in measured:
            assert each.iou_by_cut[Threshold(0.4).cut] == pytest.approx(expected, abs=1e-6)
        assert boxed.found == (name == "upper left")


def test_boxes_of_other_classes_and_names_that_fit_no_image_are_told(checkpoint, images, tmp_path, capsys):
    lines = [
        "cat/0.png,cat,5,5,40,30",
        "cat/0.png,tree,1,1,9,9",
        "cat/1.png,5,5,5,40,30",
        "cat/9.png,cat,5,5,9,9",
    ]
    run(checkpoint, images, write_list(tmp_path / "boxes.csv", lines))
    told = capsys.readouterr().out
    assert "boxes.csv: 2 boxes of 2 images" in told
    assert "1 of the list's 3 names match no image, such as 'cat/9.png'" in told
    assert "ignored: 1 box of classes that the network does not have, such as 'tree'" in told


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["elk/7.png,cat,5,5,9,9"], "none of its 1 name, such as elk/7.png, matches an image in"),
        (
            ["cat/0.png,tree,5,5,9,9"],
            "all boxes are of classes that the network does not have, such as 'tree', expected its classes, "
            "such as 'cat', 'dog', ...; --any-class uses boxes of any class",
        ),
        (["cat/0.png,cat,5,5,70,30"], "box [5.0, 5.0, 70.0, 30.0] lies outside the image of 60 x 40 pixels"),
    ],
)
def test_boxes_that_cannot_calibrate_are_one_line(lines, message, checkpoint, images, tmp_path, capsys):
    run(checkpoint, images, write_list(tmp_path / "boxes.csv", lines), status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (checkpoint / FILE).exists()


def test_a_list_without_boxes_is_one_line(checkpoint, images, tmp_path, capsys):
    coco = tmp_path / "boxes.json"
    coco.write_text(json.dumps({"images": [{"id": 1, "file_name": "cat/0.png"}], "annotations": []}))
    run(checkpoint, images, coco, status=2)
    assert f"error: {coco}: no boxes, expected at least one" in capsys.readouterr().err


def test_boxes_of_unknown_classes_can_be_taken(checkpoint, images, tmp_path, capsys):
    boxes = write_list(tmp_path / "boxes.csv", ["cat/0.png,tree,5,5,40,30"])
    run(checkpoint, images, boxes, "--any-class")
    assert "1 box of 1 image" in capsys.readouterr().out
    calibration = read_calibration(checkpoint)
    assert calibration is not None
    assert calibration.describe().startswith("calibrated on 1 box of ")


@pytest.mark.parametrize("name", ["coco", "voc", "csv"])
def test_annotations_of_a_prediction_calibrate(name, checkpoint, images, tmp_path, capsys):
    predict(checkpoint, tmp_path / "out", images, "--threshold", 0.5)
    written = write_annotations(
        tmp_path / "list", tmp_path / "out" / "predictions.jsonl", formats=[name], class_names=NAMES
    )
    run(checkpoint, images, written[0])
    assert "4 boxes of 4 images" in capsys.readouterr().out
    calibration = read_calibration(checkpoint)
    assert calibration is not None
    assert calibration.box_accuracy == 100.0  # the boxes are those of one threshold


def test_rotated_images_are_told_and_read_as_their_boxes_are(checkpoint, tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(tmp_path / "images" / "x.jpg", width=60, height=40, exif=exif)
    boxes = write_list(tmp_path / "boxes.csv", ["x.jpg,cat,5,5,55,30"])
    run(checkpoint, tmp_path / "images", boxes)
    assert "1 image with an EXIF rotation, read as stored" in capsys.readouterr().out
    run(checkpoint, tmp_path / "images", boxes, "--exif", "upright", status=2)
    assert "the image has an EXIF rotation: try --exif stored" in capsys.readouterr().err


def test_a_failed_write_keeps_the_earlier_calibration(checkpoint, monkeypatch):
    write_calibration(checkpoint, CALIBRATION)
    assert read_calibration(checkpoint) == CALIBRATION
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            write_calibration(checkpoint, Calibration(**{**vars(CALIBRATION), "threshold": 0.5}))
    assert read_calibration(checkpoint) == CALIBRATION
    assert [path.name for path in checkpoint.iterdir() if "tmp" in path.name] == []
    assert resolve_threshold(None, load(checkpoint).folder).tau == 0.31


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("0.31", "0.81"), "checksum does not match"),
        (lambda text: text[:40], "not JSON"),
        (lambda text: re.sub(r'"threshold": [\d.]+,', "", text), "checksum does not match"),
        (lambda _: "[]", "expected an object"),
    ],
)
def test_a_damaged_calibration_is_one_line_that_says_what_to_do(change, message, checkpoint):
    path = write_calibration(checkpoint, CALIBRATION)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=f"{FILE}.*{message}.*calibrate again") as told:
        resolve_threshold(None, checkpoint)
    assert "\n" not in str(told.value)
    assert resolve_threshold(0.2, checkpoint).tau == 0.2

"""The path of docs/photographs.md: from a flat folder of photographs to YOLO labels."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import SMALL

from lctr_jax import predict, train
from lctr_jax.data.image_formats import heic_is_read

ROOT = Path(__file__).parents[1]
SIZES = {"bar": (50, 12), "square": (24, 24)}
ROTATED = 6  # EXIF: turn by 90 degrees to see it upright


def draw(rng, name, *, size=(90, 60)):
    """A bright figure on noise, upright."""
    pixels = rng.integers(0, 80, (size[1], size[0], 3)).astype(np.uint8)
    width, height = SIZES[name]
    x, y = rng.integers(0, size[0] - width), rng.integers(0, size[1] - height)
    pixels[y : y + height, x : x + width] = 230
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root, rng = tmp_path_factory.mktemp("user") / "photos", np.random.default_rng(0)
    for name in SIZES:
        (root / name).mkdir(parents=True)
        for number in range(12):
            photo, exif = draw(rng, name), Image.Exif()
            if number % 4 == 0:  # stored lying, as phones do
                photo, exif[274] = photo.transpose(Image.Transpose.ROTATE_90), ROTATED
            photo.save(root / name / f"{number}.jpg", quality=95, exif=exif)
    if heic_is_read():
        draw(rng, "bar").save(root / "bar/phone.heic")
    (root / "square/movie.mp4").write_bytes(b"no photograph")
    (root / "square/broken.jpg").write_bytes((root / "square/1.jpg").read_bytes()[:900])
    return root


def run_train(monkeypatch, photos, *arguments):
    options = [
        "--config=folder",
        f"--workdir={photos.parent / 'run'}",
        f"--config.data.root={photos}",
        f"--config.data.data_dir={photos.parent / 'data'}",
        "--config.eval.untrained_baseline=False",
        *(option for option in SMALL if not re.search(r"train\.(epochs|batch_size)", option)),
        *arguments,
    ]
    monkeypatch.setattr(sys, "argv", ["lctr-train", *options])
    train.main()


@pytest.mark.slow
def test_from_a_flat_folder_to_yolo_labels(photos, monkeypatch, capsys):
    broken = photos / "square/broken.jpg"
    with pytest.raises(SystemExit, match="2"):
        run_train(monkeypatch, photos)
    assert "square/broken.jpg" in capsys.readouterr().err.splitlines()[-1]
    elsewhere = photos.parent / "elsewhere.jpg"
    broken.rename(elsewhere)

    run_train(monkeypatch, photos, "--config.train.epochs=1")
    said = capsys.readouterr().err
    count = 24 + heic_is_read()
    found = re.search(r"train (\d+) images of 2 classes, val (\d+)", said)
    assert found is not None, said
    train_images, val_images = map(int, found.groups())
    assert train_images + val_images == count
    assert "only class folders: 10 % of each class is held out as val" in said
    assert "1 .mp4 videos, such as 'square/movie.mp4'" in said
    assert "chosen: --config.train.batch_size=8 (" in said
    assert "chosen: --config.train.lr=0.008 (for training from random weights" in said
    assert "train.epochs" not in said  # given
    assert "no boxes in this split: classification only" in said
    assert "the threshold of this network's boxes is not calibrated: give about twenty boxes" in said
    assert (photos.parent / "run/eval/report.html").is_file()

    elsewhere.rename(broken)
    out = photos.parent / "boxes"
    with pytest.raises(SystemExit, match="1"):
        predict.main(
            [
                f"--checkpoint={photos.parent / 'run'}",
                f"--out={out}",
                str(photos),
                "--classes=folder",
                "--annotations=yolo",
                "--batch-size=8",
            ]
        )
    said = capsys.readouterr().err
    assert "square/broken.jpg" in said
    assert f"{count} images: {out / 'index.html'}" in said
    check_yolo(out / "annotations/yolo", photos, count)


def check_yolo(yolo, photos, count):
    labels = sorted((yolo / "labels").rglob("*.txt"))
    assert len(labels) == count
    assert "bar" in (yolo / "data.yaml").read_text()
    for path in labels:
        for line in path.read_text().splitlines():
            label, *box = line.split()
            x, y, width, height = map(float, box[:4])
            assert int(label) == sorted(SIZES).index(path.parent.name)
            rounding = 1e-6  # YOLO's numbers have six digits
            assert -rounding <= x - width / 2 <= x + width / 2 <= 1 + rounding
            assert -rounding <= y - height / 2 <= y + height / 2 <= 1 + rounding
    supervision = pytest.importorskip("supervision")
    loaded = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(photos / "bar"),
        annotations_directory_path=str(yolo / "labels/bar"),
        data_yaml_path=str(yolo / "data.yaml"),
    )
    assert loaded.classes == sorted(SIZES)
    for path, image, detections in loaded:
        assert image.shape[:2] == (60, 90), path  # upright
        assert set(detections.class_id) <= {0}

"""OpenImages30k in wsoleval's layout, and PxAP against a plain statement of its MaskEvaluator."""

import shutil

import cv2
import numpy as np
import published
import pytest
from fake_results import make_settings
from test_published_datasets import by_id, fails
from test_results import SIZE, TRUE, forward

from lctr_jax import prepare
from lctr_jax.data import datasets, masks
from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.stream import evaluate_split
from lctr_jax.localization.summary import summarize


def prepare_openimages(source, lists, data_dir, *more):
    where = ["--source", str(source), "--metadata", str(lists), "--data_dir", str(data_dir)]
    prepare.main(["openimages", *where, "--num_processes", "1", *more])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openimages")
    source, lists, facts = published.openimages(folder)
    (source / "class-descriptions-boxable.csv").write_text("/m/0bt_c3,Book\n/m/01226z,Football\n")
    prepare_openimages(source, lists, folder / "data", "--partial")
    return source, facts, folder / "data"


def wsoleval_mask(root, names, *, size):
    """Load an image's mask as wsoleval's `get_mask` does."""
    instances, ignored = names

    def load(name):
        gray = cv2.imread(str(root / name), cv2.IMREAD_GRAYSCALE)
        assert gray is not None
        return cv2.resize(gray.astype(np.float32), (size, size), interpolation=cv2.INTER_NEAREST) > 0.5

    is_object = np.stack([load(name) for name in instances]).any(axis=0)
    return is_object.astype(np.uint8) + 255 * (load(ignored) & ~is_object).astype(np.uint8)


def wsoleval_pxap(pairs, taus):
    """PxAP of score maps and masks as wsoleval's MaskEvaluator states it."""
    edges = np.append(taus, [1.0, 2.0, 3.0])
    false, true = (
        np.sum([np.histogram(score[mask == value], edges)[0].astype(float) for score, mask in pairs], axis=0)
        for value in (0, 1)
    )
    tp, fp = true[::-1].cumsum(), false[::-1].cumsum()
    known = (tp + fp) != 0
    with np.errstate(invalid="ignore"):
        precision, recall = tp / (tp + fp), tp / true.sum()
    return 100 * (precision[1:] * np.diff(recall))[known[1:]].sum()


def test_every_field(prepared):
    _, facts, data_dir = prepared
    opened = {
        name: datasets.open_split("openimages", name, data_dir=data_dir) for name in ("train", "val", "test")
    }
    assert [(split.has_boxes, split.has_masks) for split in opened.values()] == [
        (False, False),
        (False, True),
        (False, True),
    ]
    assert opened["val"].class_names == ["Football", "Book"]
    records = {name: record for split in opened.values() for name, record in by_id(split).items()}
    assert {name: (record["label"], record["image"]) for name, record in records.items()} == {
        name: fact[:2] for name, fact in facts.items()
    }
    assert {name for name, record in records.items() if "mask" in record} == {
        name for name in facts if not name.startswith("train")
    }


@pytest.mark.parametrize("size", [SIZE, 224])
def test_masks_in_the_frame_are_wsolevals(prepared, size):
    source, facts, data_dir = prepared
    layers = set()
    for name, record in by_id(datasets.open_split("openimages", "test", data_dir=data_dir)).items():
        ours = masks.mask_in_frame(record["mask"], Geometry("wsoleval", size), width=1, height=1)
        np.testing.assert_array_equal(ours, wsoleval_mask(source, facts[name][2], size=size))
        layers.add(record["mask"].count(b"IEND"))
    assert layers == {1, 2, 3, 4}  # one size, or several


def test_pxap_is_wsolevals_to_the_last_digit(prepared):
    source, facts, data_dir = prepared
    split = datasets.open_split("openimages", "test", data_dir=data_dir)
    settings = make_settings("wsoleval")
    totals = evaluate_split(
        forward, {}, split, settings=settings, geometry=Geometry("wsoleval", SIZE), batch_size=2
    )
    score = cv2.resize(2 * TRUE, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    score = (score - score.min()) / np.ptp(score)
    pairs = [(score, wsoleval_mask(source, facts[split[i]["id"]][2], size=SIZE)) for i in range(len(split))]
    assert any((mask == 255).any() for _, mask in pairs)
    expected = wsoleval_pxap(pairs, np.arange(0, 1, settings.tau_step))
    assert summarize(totals.measured, settings)["pxap"] == pytest.approx(expected, rel=1e-15)


def test_a_mask_of_another_size_than_its_image_is_scaled_before_the_crop():
    mask = np.zeros((60, 90), bool)
    mask[20:40, 30:60] = True
    stored = masks.join_masks([mask], [])
    small = masks.join_masks([mask[::2, ::2]], [])
    lctr = Geometry("lctr", 56)
    whole, half = (masks.mask_in_frame(part, lctr, width=90, height=60) for part in (stored, small))
    np.testing.assert_array_equal(whole, half)


def test_masks_next_to_images_are_not_taken_for_images(tmp_path, capsys):
    source, _, _ = published.openimages(tmp_path)
    line = fails(capsys, "folder", source, tmp_path / "data")
    assert "0val_ignore.png is a mask of 0val.jpg, not an image of its own" in line
    assert f"`python -m lctr_jax.prepare openimages --source {source} --metadata DIR`" in line


def test_evaluation_without_training_images(tmp_path):
    source, lists, _ = published.openimages(tmp_path)
    shutil.rmtree(source / "train")
    prepare_openimages(source, lists, tmp_path / "data", "--partial", "--splits", "val", "test")
    split = datasets.open_split("openimages", "val", data_dir=tmp_path / "data")
    assert (len(split), split.class_names) == (4, ["01226z", "0bt_c3"])


def test_faults_are_one_line_that_names_the_file(tmp_path, capsys):
    source, lists, facts = published.openimages(tmp_path)
    command = ("openimages", source, tmp_path / "data", "--metadata", str(lists))
    assert "train: found 16 images, expected 29819" in fails(capsys, *command)
    name = next(name for name in facts if name.startswith("test"))
    (instance, *_), ignored = facts[name][2]
    mask = (source / instance).read_bytes()
    (source / instance).write_bytes(mask[:-20])
    assert f"{name}: mask: {source / instance}: cannot decode" in fails(capsys, *command, "--partial")
    (source / instance).unlink()
    line = fails(capsys, *command, "--partial")
    assert line == f"error: openimages: {source} lacks {instance}, a mask of {name}"
    (source / name).unlink()
    line = fails(capsys, *command)
    assert line.endswith(f"lacks 1 of the 6 images of test, such as {name}; --partial accepts fewer")
    localization = lists / "test/localization.txt"
    localization.write_text(f"{name},{instance},{ignored}\n{name},{instance},{ignored}\n")
    assert f"{localization}:2: expected `image,mask,ignore`" in fails(capsys, *command, "--partial")
    localization.write_text(f"{name},{instance},{ignored}\n")
    assert f"{localization}: no mask for 5 images" in fails(capsys, *command, "--partial")
    with (lists / "val/class_labels.txt").open("a") as file:
        file.write("val/0bt_c3/other.jpg,0\n")
    (lists / "val/image_ids.txt").unlink()
    assert "label 0 is given to images of 01226z and of 0bt_c3" in fails(capsys, *command, "--partial")
    line = fails(capsys, *command[:3])
    assert "openimages needs --metadata" in line

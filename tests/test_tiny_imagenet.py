import numpy as np
import published
import pytest

from lctr_jax import prepare
from lctr_jax.data import datasets
from lctr_jax.data.tiny_imagenet.builder import TinyImagenet

ROOT = "tiny-imagenet-200/"


def run(source, data_dir, *more):
    arguments = ["--source", str(source), "--data_dir", str(data_dir), "--num_processes", "1", *more]
    prepare.main(["tiny_imagenet", *arguments])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("form", ["zip", "folder that contains the zip", "folder"])
def test_every_field(tmp_path, form):
    files, facts = published.tiny_imagenet_files()
    if form == "folder":
        source = published.unpack(tmp_path / "downloads", files) / "tiny-imagenet-200"
    else:
        source = published.pack_zip(tmp_path / "tiny-imagenet-200.zip", files)
        source = source.parent if "contains" in form else source
    run(source, tmp_path / "data", "--partial")
    for name, expected in facts.items():
        split = datasets.open_split("tiny_imagenet", name, data_dir=tmp_path / "data")
        assert split.class_names == [
            "tench",
            f"crane ({published.WNIDS[1]})",
            f"crane ({published.WNIDS[2]})",
        ]
        assert split.has_boxes
        assert not split.has_masks
        found = {split[index]["id"]: split[index] for index in range(len(split))}
        assert found.keys() == expected.keys()
        for key, (label, box, content) in expected.items():
            assert (found[key]["label"], found[key]["image"]) == (label, content)
            np.testing.assert_array_equal(found[key]["boxes_xyxy"], [box])  # ends as listed
    train = datasets.open_split("tiny_imagenet", "train[:33%]", data_dir=tmp_path / "data")
    assert sorted(train[index]["label"] for index in range(len(train))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wnids.txt": None}, "wnids.txt is not in"),
        ({"words.txt": b"n01440764\ttench\n"}, "words.txt has no name of n01443537"),
        ({"words.txt": b"n01440764 tench\n"}, "words.txt:1: expected 2 columns"),
        ({"val/val_annotations.txt": None}, "val_annotations.txt is not in"),
        ({"val/val_annotations.txt": b"val_0.JPEG n1 0 0 9 9\n"}, "class 'n1' is not in wnids.txt"),
        (
            {"val/val_annotations.txt": b"val_0.JPEG\tn01440764\t0\t0\tx\t9\n"},
            "expected numbers, got '0 0 x 9'",
        ),
        ({"val/images/val_9.JPEG": b"-"}, "1 images have no line in the lists of boxes, such as val_9.JPEG"),
        ({"train/n01440764/n01440764_boxes.txt": b"\xff\n"}, "n01440764_boxes.txt is not a text file"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, capsys, change, message):
    files, _ = published.tiny_imagenet_files()
    changed = files | {ROOT + name: content for name, content in change.items()}
    source = published.pack_zip(tmp_path / "t.zip", {k: v for k, v in changed.items() if v is not None})
    assert message in refusal(capsys, source, tmp_path / "data", "--partial")


def test_a_part_of_the_release_is_refused(tmp_path, capsys):
    source = published.pack_zip(tmp_path / "t.zip", published.tiny_imagenet_files()[0])
    assert "found 9 images, expected 100000" in refusal(capsys, source, tmp_path / "data")
    missing = refusal(capsys, tmp_path / "nowhere", tmp_path / "data")
    assert "no such folder or archive" in missing
    assert TinyImagenet.NUM_IMAGES == {"train": 100_000, "val": 10_000}


def test_not_prepared(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"download .*tiny-imagenet-200.zip.* then run"):
        datasets.open_split("tiny_imagenet", "val", data_dir=tmp_path)

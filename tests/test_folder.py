import concurrent.futures
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from animals import by_id, draw_animals, open_split, save
from PIL import Image

from lctr_jax import prepare
from lctr_jax.data import image_decoding
from lctr_jax.data.folder import tree

SHARED = Path(__file__).parent.parent.parent / "shared" / "data" / "tiny_imagenet_animals"


@pytest.fixture
def root(tmp_path):
    return draw_animals(tmp_path)


def test_every_field_and_the_original_bytes(root):
    train, val = open_split(root, "train"), open_split(root, "val")
    assert train.class_names == val.class_names == ["ape", "cat"]
    assert (train.has_boxes, val.has_boxes, val.has_masks) == (False, True, False)
    assert (len(train), len(val)) == (6, 4)
    for split in (train, val):
        for image_id, record in by_id(split).items():
            assert record["image"] == (root / split.name / image_id).read_bytes()
            assert record["label"] == ["ape", "cat"].index(image_id.split("/")[0])
            assert "mask" not in record
    record = by_id(val)["cat/cat_v1.png"]
    np.testing.assert_array_equal(record["boxes_xyxy"], [[1, 2, 30, 21]])
    assert record["boxes_xyxy"].dtype == np.float32
    assert by_id(train)["ape/ape_0.jpg"]["boxes_xyxy"].shape == (0, 4)


def test_a_split_survives_pickling(root):
    val = open_split(root, "val")
    again = pickle.loads(pickle.dumps(val))
    assert again[2]["image"] == val[2]["image"]
    assert again.class_names == val.class_names


def test_prepared_once_and_again_after_any_change(root):
    prepared = root.parent / "prepared"

    def folders():
        open_split(root, "val")
        return {path.name for path in prepared.glob("animals-*")}

    first = folders()
    assert folders() == first
    path = root / "val" / "cat" / "cat_v0.png"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    second = folders()
    assert len(second - first) == 1
    (root / "list" / "val_boxes.txt").write_text("ape/ape_v0.png 0 0 0 5 5\n")
    assert len(folders() - second) == 1
    np.testing.assert_array_equal(
        by_id(open_split(root, "val"))["ape/ape_v0.png"]["boxes_xyxy"], [[0, 0, 5, 5]]
    )


def test_box_lists_given_by_path_and_in_other_formats(root):
    given = root.parent / "elsewhere.csv"
    given.write_text("val/cat/cat_v0.png,3,4,5,6\nval/cat/cat_v0.png,7,8,9,10\n")
    record = by_id(open_split(root, "val", boxes={"val": given}))["cat/cat_v0.png"]
    np.testing.assert_array_equal(record["boxes_xyxy"], [[3, 4, 5, 6], [7, 8, 9, 10]])


def test_a_list_of_a_split_that_is_not_there_is_refused(root):
    with pytest.raises(ValueError, match=r"box list of test: .*, but the folder .*test does not exist"):
        open_split(root, "val", boxes={"test": "here.txt"})


def test_masks_beside_the_images(root):
    mask = save(root / "masks" / "val" / "cat" / "cat_v0.png", mode="L")
    val, train = open_split(root, "val"), open_split(root, "train")
    assert (val.has_masks, train.has_masks) == (True, False)
    assert by_id(val)["cat/cat_v0.png"]["mask"] == mask.read_bytes()
    assert "mask" not in by_id(val)["cat/cat_v1.png"]
    assert "mask" not in train[0]


def test_with_train_only_10_percent_of_each_class_is_held_out(root):
    for name in ("cat", "ape"):
        for number in range(3, 20):
            save(root / "train" / name / f"{name}_{number}.jpg", size=(8, 8))
    manifest = tree.read_folder(root, {})
    held_out = manifest.splits["train"][:4]
    assert sorted(item.label for item in held_out) == [0, 0, 1, 1]  # so `train[:10%]` is stratified, too
    (root / "val").rename(root.parent / "away")
    (root / "list" / "val_boxes.txt").unlink()
    carved = tree.read_folder(root, {}).splits
    assert {split: len(items) for split, items in carved.items()} == {"train": 36, "val": 4}
    assert {item.id for item in carved["val"]} == {item.id for item in held_out}
    assert not {item.id for item in carved["val"]} & {item.id for item in carved["train"]}


def test_part_of_a_split_in_tfds_syntax(root):
    rest, held_out = open_split(root, "train[34%:]"), open_split(root, "train[:34%]")
    assert by_id(rest).keys() | by_id(held_out).keys() == by_id(open_split(root, "train")).keys()
    assert len(rest) + len(held_out) == 6


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gray.png", {"mode": "L"}),
        ("cmyk.jpg", {"mode": "CMYK"}),
        ("palette.png", {"mode": "P"}),
        ("alpha.png", {"mode": "RGBA"}),
        ("rotated.jpg", {"exif": exif(6)}),
    ],
)
def test_images_come_out_as_pils_rgb_and_exif_does_not_turn_them(root, name, options):
    path = save(root / "val" / "cat" / name, size=(40, 30), **options)
    pixels = image_decoding.decode_rgb(by_id(open_split(root, "val"))[f"cat/{name}"]["image"])
    assert pixels.size == (40, 30)  # though EXIF would turn one of them to 30x40
    np.testing.assert_array_equal(np.asarray(pixels), np.asarray(Image.open(path).convert("RGB")))


def test_two_at_once_prepare_it_once(root, monkeypatch):
    manifests = []
    monkeypatch.setattr(
        "lctr_jax.data.records.check_manifest",
        lambda manifest, *_: manifests.append(manifest) or time.sleep(0.3),
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda _: open_split(root, "val"), range(2)))
    assert [len(split) for split in opened] == [4, 4]
    assert len(manifests) == 1


def test_remains_of_a_killed_run_are_swept(root):
    fresh = open_split(root, "val")
    place = next((root.parent / "prepared").glob("animals-*/folder"))
    shutil.rmtree(place / "1.0.0")
    (place / "incomplete.ABCDEF_1.0.0").mkdir()
    assert len(open_split(root, "val")) == len(fresh)
    assert [path.name for path in place.iterdir()] == ["1.0.0"]


def test_a_split_iterates_and_ends(root):
    val = open_split(root, "val")
    assert [record["id"] for record in val] == sorted(by_id(val))
    with pytest.raises(IndexError, match="record 4 of a split of 4"):
        val[4]


def test_the_command_prepares_what_open_split_reads(root, capsys):
    prepare.main(["folder", "--source", str(root), "--data_dir", str(root.parent / "prepared")])
    folders = list((root.parent / "prepared").glob("animals-*"))
    assert len(open_split(root, "train")) == 6
    assert list((root.parent / "prepared").glob("animals-*")) == folders
    assert "2 classes" in capsys.readouterr().out


def test_a_box_may_end_on_the_far_edge_or_a_rounded_pixel_past_it(root):
    (root / "list" / "val_boxes.txt").write_text("cat/cat_v0.png 1 -1 0 41 30\n")
    np.testing.assert_array_equal(
        by_id(open_split(root, "val"))["cat/cat_v0.png"]["boxes_xyxy"], [[-1, 0, 41, 30]]
    )


@pytest.mark.skipif(not SHARED.exists(), reason="the photographs lie beside the repository")
def test_tiny_imagenet_animals_matches_its_list_to_the_pixel(tmp_path):
    root = tmp_path / "animals"
    (root / "list").mkdir(parents=True)
    (root / "list" / "val_boxes.txt").symlink_to(SHARED / "list" / "val_boxes.txt")
    (root / "val").symlink_to(SHARED / "val")
    for folder in (SHARED / "train").iterdir():
        first = min(folder.iterdir())
        (root / "train" / folder.name).mkdir(parents=True)
        (root / "train" / folder.name / first.name).symlink_to(first)
    val = by_id(open_split(root, "val"))
    listed = {}
    for line in (SHARED / "list" / "val_boxes.txt").read_text().splitlines():
        name, label, *box = line.split()
        listed[name] = (int(label), [float(v) for v in box])
    assert len(listed) == 500
    assert {name: (r["label"], *r["boxes_xyxy"].tolist()) for name, r in val.items()} == listed

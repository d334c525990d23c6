"""Layouts of image folders: only class folders, other split names, files that are not images, link cycles."""

import os
from pathlib import Path

import numpy as np
import pytest
from animals import by_id, draw_animals, open_split, save

from lctr_jax.data import image_formats
from lctr_jax.data.folder import tree

JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def root(tmp_path):
    return draw_animals(tmp_path)


def flat(place, *, count=10, classes=("cat", "ape")):
    for name in classes:
        for number in range(count):
            save(place / "photos" / name / f"{number}.jpg", size=(8, 8))
    return place / "photos"


def sizes(manifest):
    return {split: len(items) for split, items in manifest.splits.items()}


def notes(root, **options):
    return "\n".join(tree.read_folder(root, {}, **options).notes)


def test_class_folders_alone(tmp_path):
    root = flat(tmp_path)
    manifest = tree.read_folder(root, {})
    assert sizes(manifest) == {"train": 18, "val": 2}
    assert manifest.class_names == ["ape", "cat"]
    assert sorted(item.label for item in manifest.splits["val"]) == [0, 1]
    assert not {item.id for item in manifest.splits["val"]} & {item.id for item in manifest.splits["train"]}
    assert manifest.notes == [
        f"{root}: train 18 images of 2 classes, val 2 images of 2 classes; "
        "only class folders: 10 % of each class is held out as val"
    ]


def test_a_few_boxes_of_class_folders_alone_are_held_out_first(tmp_path):
    root = flat(tmp_path)
    save(root / "list" / "x.png").unlink()
    (root / "list" / "val_boxes.csv").write_text(
        "image,x,y,w,h\ncat/7.jpg,0,0,5,5\nape/3.jpg,1,1,2,2\nb.jpg,0,0,1,1\n"
    )
    manifest = tree.read_folder(root, {})
    boxes = {item.id: item.boxes_xyxy.tolist() for item in manifest.splits["val"]}
    assert boxes == {"cat/7.jpg": [[0, 0, 5, 5]], "ape/3.jpg": [[1, 1, 3, 3]]}
    assert not any(len(item.boxes_xyxy) for item in manifest.splits["train"])
    assert manifest.notes[1] == (
        "boxes of val: 2 of 2 images, from list/val_boxes.csv; "
        "1 of the list's 3 names match no image, such as 'b.jpg'"
    )


@pytest.mark.parametrize(("val", "test"), [("valid", "testing"), ("validation", "Test"), ("VAL", "test")])
def test_other_names_of_splits(root, val, test):
    (root / "val").rename(root / val)
    save(root / test / "cat" / "t.png")
    (root / "list" / "val_boxes.txt").rename(root / "list" / f"{val}_boxes.txt")
    assert sizes(tree.read_folder(root, {})) == {"train": 6, "val": 4, "test": 1}
    for name in ("val", "valid", "val[:100%]"):
        split = open_split(root, name)
        assert (len(split), split.has_boxes) == (4, True)


def test_two_folders_of_one_split_are_refused(root):
    save(root / "valid" / "cat" / "a.png")
    with pytest.raises(ValueError, match="has val and valid, two folders for the split val; keep one"):
        tree.read_folder(root, {})


def test_train_may_be_a_class(tmp_path):
    root = flat(tmp_path, classes=("train", "bus"))
    assert tree.read_folder(root, {}).class_names == ["bus", "train"]


def test_masks_and_list_may_be_classes_too(tmp_path):
    root = flat(tmp_path, classes=("masks", "list", "no_masks"))
    assert tree.read_folder(root, {}).class_names == ["list", "masks", "no_masks"]


def test_one_folder_around_the_class_folders(tmp_path):
    flat(tmp_path / "outer")
    with pytest.raises(ValueError, match=r"has one class folder, photos, .*; did you mean .*outer/photos\?"):
        tree.read_folder(tmp_path / "outer", {})


def test_a_class_of_one_image_cannot_be_halved(tmp_path):
    root = flat(tmp_path, count=1)
    with pytest.raises(ValueError, match=r"class '(ape|cat)' has too few images"):
        tree.read_folder(root, {})


def test_what_is_ignored_is_counted_by_kind_with_an_example(root):
    train = root / "train"
    save(train / "cat" / "@eaDir" / "thumb.jpg")
    save(train / "cat" / ".thumbs" / "thumb.jpg")
    save(train / ".git" / "a.jpg")
    save(train / "lonely.jpg")
    save(root / "lonelier.png")
    save(root / "raw" / "cat" / "a.jpg")
    for name in ("clip.mp4", "clip2.MP4", "notes.txt", "noise", "._a.jpg"):
        (train / "cat" / name).write_bytes(b"no image")
    (train / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(train / "cat" / "pipe.jpg")
    (root / "list" / "boxes.txt").write_text("a")
    manifest = tree.read_folder(root, {})
    assert sizes(manifest) == {"train": 6, "val": 4}
    said = manifest.notes
    assert said[0] == f"{root}: train 6 images of 2 classes, val 4 images of 2 classes"
    assert said[1] == "boxes of val: 4 of 4 images, from list/val_boxes.txt"
    assert said[2] == "not read in list/: boxes.txt; expected train_boxes* or val_boxes*"
    for part in (
        "3 hidden or system folders, such as 'train/.git'",
        "2 .mp4 videos, such as 'train/cat/clip.mp4'",
        "1 .txt files, such as 'train/cat/notes.txt'",
        "1 files without a suffix that are not images, such as 'train/cat/noise'",
        "2 images next to the class folders, such as 'train/lonely.jpg'",
        "1 folders next to the splits, such as 'raw'",
        "1 broken links, such as 'train/cat/gone.jpg'",
        "1 pipes, sockets or devices, such as 'train/cat/pipe.jpg'",
        "1 hidden or system files, such as 'train/cat/._a.jpg'",
    ):
        assert part in said[3]


def test_links_in_circles_multiply_nothing(root):
    cat = root / "train" / "cat"
    (cat / "self").symlink_to(cat)
    (cat / "up").symlink_to(root / "train")
    (cat / "top").symlink_to(root.parent)
    (cat / "other").symlink_to(root / "val" / "cat")
    away = save(root.parent / "away" / "far" / "a.jpg").parents[1]
    (away / "back").symlink_to(away)
    (cat / "away").symlink_to(away)
    (cat / "again").symlink_to(away)
    manifest = tree.read_folder(root, {})
    assert sizes(manifest) == {"train": 7, "val": 4}
    assert "cat/again/far/a.jpg" in {item.id for item in manifest.splits["train"]}
    assert "links to folders that are read" in manifest.notes[-1]


def test_suffixes_and_content(root):
    cat = root / "train" / "cat"
    sound = (cat / "cat_0.jpg").read_bytes()
    for name in ("a.jfif", "b.jpe", "c"):
        (cat / name).write_bytes(sound)
    save(cat / "d.avif")
    save(cat / "e.jp2")
    split = open_split(root, "train")
    assert {"cat/a.jfif", "cat/b.jpe", "cat/c", "cat/d.avif", "cat/e.jp2"} <= by_id(split).keys()
    assert len(split) == 11


@pytest.fixture
def without_heif(monkeypatch):
    monkeypatch.setattr(image_formats, "heic_is_read", lambda: False)
    image_formats.pil_formats.cache_clear()
    yield
    image_formats.pil_formats.cache_clear()


def test_heic_without_its_reader_is_reported_how_to_be_read(root, without_heif):
    (root / "train" / "cat" / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    assert "1 .heic images, which need pillow-heif (pip install 'lctr_jax[heic]')" in notes(root)
    bee = root / "train" / "bee"
    bee.mkdir()
    (bee / "b.HEIC").write_bytes(b"\x00\x00\x00\x18ftypheic")
    with pytest.raises(
        ValueError, match=r"train/bee has no images; ignored there: 1 \.heic images.*lctr_jax\[heic\]"
    ):
        tree.read_folder(root, {})


def test_heic(root):
    pytest.importorskip("pillow_heif")
    image_formats.heic_is_read()
    save(root / "train" / "cat" / "a.heic", size=(64, 48))
    split = open_split(root, "train")
    assert len(split) == 7


def test_names_of_wnid_folders(tmp_path):
    wnids = ("n001", "n002", "n003", "n004")
    root = flat(tmp_path, classes=wnids)
    (root / "words.txt").write_text(
        "n000\tentity\nn001\tcrane, bird\nn002\tcrane, machine\nn003\ttabby, tabby cat\n"
    )
    manifest = tree.read_folder(root, {})
    assert manifest.class_names == ["crane, bird", "crane, machine", "tabby", "n004"]
    assert manifest.notes[1] == "class names: from words.txt (1 keep their folder's)"
    (root / "words.txt").write_text("cat\ndog\n")
    manifest = tree.read_folder(root, {})
    assert manifest.class_names == list(wnids)
    assert manifest.notes[1] == "class names: the folders'; words.txt contains none of them"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("cat\ndog", "holds a line break"),
        ("cat ", "begins or ends with white space"),
        (" ", "is empty"),
        ("cat\x1b[1m", "holds a control character"),
        (os.fsdecode(b"caf\xe9"), "is not UTF-8"),
    ],
)
def test_class_names_that_cannot_be_kept_are_refused(root, name, problem):
    save(root / "train" / name / "a.jpg")
    with pytest.raises(ValueError, match=f"{problem}|is not UTF-8") as caught:
        open_split(root, "train")
    assert "\n" not in str(caught.value)


def test_long_names_of_a_list_are_refused(root):
    (root / "classes.txt").write_text("cat " + "x" * 100_000 + "\n")
    with pytest.raises(ValueError, match="has 100000 bytes, more than 255") as caught:
        open_split(root, "train")
    assert len(str(caught.value)) < 300


def test_a_file_name_that_is_not_utf_8_is_named(root):
    path = os.fsencode(root / "train" / "cat") + b"/caf\xe9.jpg"
    os.rename(root / "train" / "cat" / "cat_0.jpg", path)
    with pytest.raises(ValueError, match=r"the name of '.*caf\\udce9\.jpg' is not UTF-8; rename the file"):
        open_split(root, "train")


def test_boxes_of_other_classes_are_left_out(root):
    (root / "list" / "val_boxes.txt").unlink()
    (root / "list" / "val_boxes.csv").write_text(
        "image,x0,y0,x1,y1,class\ncat/cat_v0.png,1,1,9,9,Cat\ncat/cat_v0.png,0,0,5,5,person\n"
        "ape/ape_v0.png,2,2,4,4,monkey\n"
    )
    manifest = tree.read_folder(root, {})
    boxes = {item.id: item.boxes_xyxy.tolist() for item in manifest.splits["val"]}
    assert boxes["cat/cat_v0.png"] == [[1, 1, 9, 9]]
    assert boxes["ape/ape_v0.png"] == [[2, 2, 4, 4]]  # the list's names of classes are others
    assert manifest.notes[1:3] == [
        "boxes of val: 2 of 4 images, from list/val_boxes.csv",
        "boxes of val: 1 box of classes other than the image's are ignored",
    ]


def test_kaggle_names_that_fit_several_images_are_refused(root):
    for name in ("cat", "ape"):
        save(root / "val" / name / "same.png")
    (root / "list" / "val_boxes.txt").write_text("ImageId,PredictionString\nsame,n01 1 2 3 4\n")
    with pytest.raises(ValueError, match=r"'same' matches 2 images, ape/same\.png, cat/same\.png"):
        tree.read_folder(root, {})


def test_masks_are_counted_and_must_fit(root):
    save(root / "masks" / "val" / "cat" / "cat_v0.png", mode="L")
    save(root / "masks" / "val" / "dog" / "x.png", mode="L")
    assert "masks of val: 1 of 4 images; 1 mask match none" in notes(root)
    Path(root / "masks" / "val" / "cat" / "cat_v0.png").unlink()
    with pytest.raises(
        ValueError, match="masks of val: none matches an image; they are dog/x, the images ape"
    ):
        tree.read_folder(root, {})


def test_a_mask_of_16_bits_keeps_its_values(root):
    from PIL import Image

    from lctr_jax.data.image_decoding import decode_mask

    values = np.array([[0, 1, 255], [0, 300, 2]], np.uint16)
    path = root / "mask.png"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(np.asarray(decode_mask(path.read_bytes())), [[0, 1, 255], [0, 1, 2]])

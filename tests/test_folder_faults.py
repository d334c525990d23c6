"""Faults in a labeled folder: one line that names the file."""

import pytest
from animals import draw_animals, open_split, save

from lctr_jax.data.checks import BadRecordsError


@pytest.fixture
def root(tmp_path):
    return draw_animals(tmp_path)


def remove(root, path):
    (root / path).rename(root.parent / "away")


FAULTS = {
    "missing root": (lambda root: remove(root, "."), FileNotFoundError, "data.root: no such folder"),
    "no train": (
        lambda root: remove(root, "train"),
        FileNotFoundError,
        r"data\.root: expected .*/train with one",
    ),
    "no classes": (
        lambda root: [remove(root, "train"), (root / "train").mkdir()],
        ValueError,
        "no class folders",
    ),
    "empty class": (lambda root: (root / "train" / "bee").mkdir(), ValueError, "train/bee has no images"),
    "unknown class": (
        lambda root: save(root / "val" / "dog" / "a.jpg"),
        ValueError,
        "val/dog has no counterpart in train",
    ),
    "corrupt image": (
        lambda root: (root / "train" / "cat" / "cat_1.jpg").write_bytes(b"\xff\xd8 no JPEG"),
        ValueError,
        r"1 bad records: cat/cat_1\.jpg: cannot decode the image: its format is none of JPEG, PNG",
    ),
    "truncated image": (
        lambda root: (root / "train" / "cat" / "cat_1.jpg").write_bytes(
            (root / "train" / "cat" / "cat_1.jpg").read_bytes()[:-200]
        ),
        ValueError,
        r"cat/cat_1\.jpg: cannot decode .* truncated",
    ),
    "unparsable list": (
        lambda root: (root / "list" / "val_boxes.txt").write_text("cat/cat_v0.png 0 1 2 3\n"),
        ValueError,
        r"val_boxes\.txt:1: expected",
    ),
    "box outside": (
        lambda root: (root / "list" / "val_boxes.txt").write_text("cat/cat_v0.png 1 1 2 42 30\n"),
        ValueError,
        r"cat/cat_v0\.png: box \[1\.0, 2\.0, 42\.0, 30\.0\] is outside the image of 40x30 pixels",
    ),
    "foreign list": (
        lambda root: (root / "list" / "val_boxes.txt").write_text("dog/a.png 0 1 2 3 4\n"),
        ValueError,
        r"box list of val: it contains none of the images; it has dog/a\.png, the folder has ape/ape_v0\.png",
    ),
    "two lists": (
        lambda root: (root / "list" / "val_boxes.csv").write_text("a,1,2,3,4\n"),
        ValueError,
        r"several box lists of val: val_boxes\.csv, val_boxes\.txt; keep one",
    ),
    "mask of another size": (
        lambda root: save(root / "masks" / "val" / "cat" / "cat_v0.png", size=(9, 9), mode="L"),
        ValueError,
        r"cat/cat_v0\.png: the mask has 9x9 pixels, the image 40x30",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_reported_in_one_line(root, fault):
    spoil, kind, message = FAULTS[fault]
    spoil(root)
    with pytest.raises(kind, match=message) as caught:
        open_split(root, "val")
    assert "\n" not in str(caught.value)


def test_many_bad_records_are_all_kept_and_a_few_are_reported(root):
    for path in (root / "train").rglob("*.jpg"):
        path.write_bytes(b"no image")
    with pytest.raises(BadRecordsError, match=r"^6 bad records: .*\(and 3 more\)$") as caught:
        open_split(root, "train")
    assert len(caught.value.problems) == 6


def test_mending_one_image_finishes_the_rest(root):
    path = root / "train" / "cat" / "cat_1.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(BadRecordsError):
        open_split(root, "train")
    save(path)
    assert len(open_split(root, "train")) == 6


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("ape/ape_v0.png 1 0 0 5 5\ncat/cat_v0.png 0 0 0 5 5\n", "ape/ape_v0.png has label 1 there"),
        ("ape/ape_v0.png 1 0 0 5 5\n", "its folder ape is class 0"),
        ("ImageId,PredictionString\ncat_v1,ape 0 0 5 5\n", "cat/cat_v1.png has label 'ape' there"),
    ],
)
def test_a_box_list_with_other_labels_than_the_folders_is_refused(root, lines, message):
    (root / "list" / "val_boxes.txt").write_text(lines)
    with pytest.raises(ValueError, match="box list of val: ") as error:
        open_split(root, "val")
    assert message in str(error.value)
    assert "\n" not in str(error.value)

"""Image folders whose classes are in a table: Hugging Face's imagefolder, flat folders with a CSV file."""

import json

import pytest
from animals import by_id, images, open_split, save, write

from lctr_jax import prepare
from lctr_jax.data.folder import tree


def facts(root, **options):
    """The class name and boxes of every image, by split and id."""
    manifest = tree.read_folder(root, {}, **options)
    return {
        split: {item.id: (manifest.class_names[item.label], item.boxes_xyxy.tolist()) for item in items}
        for split, items in manifest.splits.items()
    }


def notes(root):
    return "\n".join(tree.read_folder(root, {}).notes)


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def test_imagefolder_with_metadata_csv_in_every_split(tmp_path):
    files = images("train/1.jpg", "train/sub/2.jpg", "train/3.jpg", "test/1.jpg", "validation/9.png")
    files["train/metadata.csv"] = "file_name,label\n1.jpg,dog\nsub/2.jpg,cat\n"
    files["test/metadata.csv"] = "file_name,label\n1.jpg,cat\ngone.jpg,dog\n"
    files["validation/metadata.csv"] = "file_name,label\n9.png,dog\n"
    root = write(tmp_path / "pets", files)
    splits = {name: open_split(root, name) for name in ("train", "val", "test")}
    assert {name: {i: r["label"] for i, r in by_id(s).items()} for name, s in splits.items()} == {
        "train": {"1.jpg": 1, "sub/2.jpg": 0},
        "val": {"9.png": 1},
        "test": {"1.jpg": 0},
    }
    assert splits["train"].class_names == ["cat", "dog"]
    assert splits["val"][0]["image"] == (root / "validation/9.png").read_bytes()
    said = splits["train"].notes
    assert "train/metadata.csv: images from column 'file_name', classes from 'label'" in said
    assert "left out: 1 image in no table of classes, such as 'train/3.jpg'" in said
    assert "test/metadata.csv: 1 of its 2 names match no image, such as 'gone.jpg'" in said
    assert not splits["test"].has_boxes


def test_imagefolder_with_objects_of_coco_in_json_lines(tmp_path):
    root = write(
        tmp_path,
        images("train/1.jpg", "train/2.jpg", "test/1.jpg")
        | {
            "metadata.jsonl": lines(
                {"file_name": "train/1.jpg", "objects": {"bbox": [[1, 2, 10, 5]], "categories": [4]}},
                {"file_name": "train/2.jpg", "objects": [{"bbox": [0, 0, 5, 5], "category": 10}] * 2},
                {"file_name": "test/1.jpg", "objects": {"bbox": [], "category": []}, "label": 10},
            )
        },
    )
    assert facts(root) == {
        "train": {"train/1.jpg": ("4", [[1, 2, 11, 7]]), "train/2.jpg": ("10", [[0, 0, 5, 5]] * 2)},
        "test": {"test/1.jpg": ("10", [])},
    }
    assert tree.read_folder(root, {}).class_names == ["4", "10"]  # numbers in numerical order
    assert "classes from 'label', boxes from 'objects' (x, y, width, height)" in notes(root)
    assert "boxes of train: 2 of 2 images, from metadata.jsonl" in notes(root)


def test_boxes_of_the_images_class_are_those_of_its_label(tmp_path):
    things = {"bbox": [[1, 1, 2, 2], [3, 3, 2, 2]], "category": ["cat", "person"]}
    table = lines(
        {"file_name": "1.jpg", "label": "cat", "objects": things},
        {"file_name": "2.jpg", "label": "person", "objects": things},
        {"file_name": "3.jpg", "label": "cat"},
        {"file_name": "4.jpg", "label": "person", "objects": None},
    )
    root = write(
        tmp_path, images(*(f"train/{n}.jpg" for n in (1, 2, 3, 4)), "val/1.jpg") | {"metadata.jsonl": table}
    )
    (root / "train/metadata.jsonl").write_text(table)
    with pytest.raises(
        ValueError, match=r"metadata\.jsonl is in .* and in .*train; keep the one or the others"
    ):
        tree.read_folder(root, {})
    (root / "metadata.jsonl").unlink()
    with pytest.raises(
        ValueError, match=r"val has no metadata.csv or metadata.jsonl with classes, but .*train has"
    ):
        tree.read_folder(root, {})
    (root / "val/metadata.csv").write_text("file_name,label\n1.jpg,cat\n")
    assert facts(root)["train"] == {
        "1.jpg": ("cat", [[1, 1, 3, 3]]),
        "2.jpg": ("person", [[3, 3, 5, 5]]),
        "3.jpg": ("cat", []),
        "4.jpg": ("person", []),
    }
    assert "boxes of train: 2 boxes of classes other than the image's are ignored" in notes(root)


def test_a_flat_folder_with_a_csv_of_labels_and_boxes(tmp_path):
    """One row per box; a tenth is held out as val, with its boxes; images are read as stored."""
    rows = [f"{n}.jpg,{('cat', 'dog')[n % 2]},1,2,{20 + n},{10 + n}" for n in range(20)]
    rows.append("0.jpg,cat,0,0,5,5")
    table = "id,breed,xmin,ymin,xmax,ymax\n" + "\n".join(rows)
    root = write(tmp_path / "pets", images(*(f"images/{n}.jpg" for n in range(20))) | {"labels.csv": table})
    manifest = tree.read_folder(root, {})
    assert {split: len(items) for split, items in manifest.splits.items()} == {"train": 18, "val": 2}
    found = {name: fact for split in facts(root).values() for name, fact in split.items()}
    assert found.pop("images/0.jpg") == ("cat", [[1, 2, 20, 10], [0, 0, 5, 5]])
    assert found == {
        f"images/{n}.jpg": (("cat", "dog")[n % 2], [[1, 2, 20 + n, 10 + n]]) for n in range(1, 20)
    }
    assert not any(item.upright for items in manifest.splits.values() for item in items)
    assert manifest.notes == [
        f"{root}: train 18 images of 2 classes, val 2 images of 2 classes; "
        "only train: 10 % of each class is held out as val",
        "labels.csv: images from column 'id', classes from 'breed', boxes from xmin,ymin,xmax,ymax",
        "boxes of train: 18 of 18 images, from labels.csv; 2 listed images are in val",
        "boxes of val: 2 of 2 images, from labels.csv; 18 listed images stay in train",
    ]
    prepare.main(["folder", "--source", str(root), "--data_dir", str(root.parent / "prepared")])
    assert by_id(open_split(root, "val")).keys() == facts(root)["val"].keys()


def test_tables_of_splits_and_columns_of_splits(tmp_path):
    """Names without suffix, an unlabeled test table, and numbers named by classes.txt."""
    root = write(
        tmp_path / "a",
        images("train_images/a.jpg", "train_images/b.jpg", "test_images/c.jpg")
        | {
            "train.csv": "image_id;label\na;1\nb;0\n",
            "test.csv": "image_id\nc\n",
            "test_labels.csv": "image_id;label\nc;1",
        }
        | {"classes.txt": "0 cat\n1 dog\n"},
    )
    # Two folders with images: they could be classes, and train.csv says that they are not.
    with pytest.raises(
        ValueError, match=r"in class folders, test_images, train_images, and train.csv divides them"
    ):
        tree.read_folder(root, {})
    for split in ("train", "test"):
        (root / f"{split}_images").rename(root / split)
    save(root / "test/d.jpg")
    assert notes(root).splitlines()[1:] == [
        "test_labels.csv: images from column 'image_id', classes from 'label'",
        "train.csv: images from column 'image_id', classes from 'label'",
        "left out: 1 image in no table of classes, such as 'test/d.jpg'",
        "class names: from classes.txt",
        f"ignored in {root}: 1 .csv files, such as 'test.csv'",
    ]
    assert facts(root) == {
        "train": {"train/a.jpg": ("dog", []), "train/b.jpg": ("cat", [])},
        "test": {"test/c.jpg": ("dog", [])},
    }
    root = write(
        tmp_path / "b",
        images("1.jpg", "2.jpg", "3.jpg")
        | {
            "all.tsv": "name\tclass_name\tclass\tsplit\n1.jpg\tcat\t0\ttrain\n"
            "2.jpg\tdog\t1\ttraining\n3.jpg\tdog\t1\tvalid\n"
        },
    )
    assert facts(root) == {
        "train": {"1.jpg": ("cat", []), "2.jpg": ("dog", [])},
        "val": {"3.jpg": ("dog", [])},
    }
    assert "classes from 'class_name', splits from 'split'" in notes(root)


def test_class_folders_stay_classes_next_to_tables_of_the_same(tmp_path):
    names = [f"{kind}/{number}.jpg" for kind in ("cat", "dog") for number in range(10)]
    table = "image,label\n" + "\n".join(f"{name},{int(name.startswith('dog'))}" for name in names)
    root = write(
        tmp_path,
        images(*names) | {"labels.csv": table, "metadata.csv": "file_name,camera\na.jpg,X\nb.jpg,Y\n"},
    )
    with pytest.raises(
        ValueError, match=r"column 'camera' has 2 different values in 2 rows, which are not classes"
    ):
        tree.read_folder(root, {})
    (root / "metadata.csv").write_text("file_name,camera,date\ncat/1.jpg,X,1\n")
    assert tree.read_folder(root, {}).class_names == ["cat", "dog"]
    assert (
        "not read: metadata.csv with the columns file_name, camera, date; expected a column `file_name`"
        in notes(root)
    )
    (root / "metadata.csv").write_text(table)
    assert tree.read_folder(root, {}).class_names == ["0", "1"]


def test_box_lists_masks_and_missing_classes_of_a_listed_folder(tmp_path):
    rows = "".join(f"{n}.jpg,{('cat', 'dog')[n % 2]}\n" for n in range(10)) + "10.jpg,\n"
    root = write(tmp_path, images(*(f"{n}.jpg" for n in range(11))) | {"labels.csv": "file,label\n" + rows})
    (root / "list").mkdir()
    (root / "list/val_boxes.csv").write_text("file,x,y,w,h\n3.jpg,1,2,3,4\n")
    save(root / "masks/val/3.png", mode="L")
    manifest = tree.read_folder(root, {})
    (item,) = manifest.splits["val"]
    assert (item.id, item.boxes_xyxy.tolist()) == ("3.jpg", [[1, 2, 4, 6]])
    assert item.mask
    assert "labels.csv: left out: 1 image without a class, such as '10.jpg'" in manifest.notes
    assert len(manifest.splits["train"]) == 9
    table = (
        (root / "labels.csv")
        .read_text()
        .replace("label\n", "label,x0,y0,x1,y1\n")
        .replace("3.jpg,dog", "3.jpg,dog,1,1,2,2")
    )
    (root / "labels.csv").write_text(table)
    (root / "list/val_boxes.csv").rename(root / "list/train_boxes.csv")
    with pytest.raises(
        ValueError, match=r"boxes of train: .*labels.csv and .*train_boxes.csv both have some; keep one"
    ):
        tree.read_folder(root, {})

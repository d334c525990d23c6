"""ImageNet as published, in archives and folders, with each form of its box lists."""

import numpy as np
import published
import pytest
from test_published_datasets import by_id, fails, run

from lctr_jax.data import datasets
from lctr_jax.data.imagenet import release as imagenet


def imagenet_source(form, folder, *, flat=True):
    train, val = published.ilsvrc_facts()
    if form == "archives":
        inner = {}
        for wnid in published.WNIDS:
            images = {name.split("/")[1]: image for name, image in train.items() if name.startswith(wnid)}
            inner[f"{wnid}.tar"] = published.pack(folder / "parts" / f"{wnid}.tar", images).read_bytes()
        published.pack(folder / "ILSVRC2012_img_train.tar", inner)
        published.pack(
            folder / "ILSVRC2012_img_val.tar", {f"{name}.JPEG": image for name, _, _, image in val}
        )
    else:
        place = "ILSVRC/Data/CLS-LOC" if form == "kaggle" else ""
        published.unpack(folder / place / "train", train)
        where = {name: "" if flat else f"{published.WNIDS[label]}/" for name, label, _, _ in val}
        published.unpack(folder / place / "val", {f"{where[n]}{n}.JPEG": image for n, _, _, image in val})
    return train, val


@pytest.mark.parametrize("list_form", ["xml", "kaggle", "lctr", "wsoleval"])
@pytest.mark.parametrize("form", ["archives", "folders"])
def test_imagenet_every_field(tmp_path, form, list_form, monkeypatch):
    monkeypatch.setattr(imagenet, "NUM_CLASSES", 3)  # so that labels by index mean these classes
    train, val = imagenet_source(form, tmp_path / "downloads")
    published.ilsvrc_box_list(list_form, tmp_path / "downloads", val)
    run("imagenet", tmp_path / "downloads", tmp_path / "data", "--partial")
    opened = {
        split: datasets.open_split("imagenet", split, data_dir=tmp_path / "data")
        for split in ("train", "val")
    }
    assert opened["train"].class_names == opened["val"].class_names == list(published.WNIDS)
    assert (opened["train"].has_boxes, opened["val"].has_boxes) == (False, True)
    records = by_id(opened["train"])
    assert {name: record["image"] for name, record in records.items()} == train
    assert all(published.WNIDS[record["label"]] == name.split("/")[0] for name, record in records.items())
    records = by_id(opened["val"])
    assert list(records) == [f"{name}.JPEG" for name, *_ in val]
    for name, label, boxes, image in val:
        record = records[f"{name}.JPEG"]
        assert (record["label"], record["image"]) == (label, image)
        np.testing.assert_array_equal(record["boxes_xyxy"], boxes)


def test_imagenet_val_in_class_folders_and_kaggles_layout(tmp_path):
    for form, flat in (("folders", False), ("kaggle", True)):
        _, val = imagenet_source(form, tmp_path / form, flat=flat)
        boxes = published.ilsvrc_box_list("kaggle", tmp_path / form, val)
        run("imagenet", tmp_path / form, tmp_path / form / "data", "--partial", "--boxes", f"val={boxes}")
        records = by_id(datasets.open_split("imagenet", "val", data_dir=tmp_path / form / "data"))
        assert {name: r["label"] for name, r in records.items()} == {
            f"{n}.JPEG": label for n, label, _, _ in val
        }


@pytest.mark.parametrize("list_form", ["xml", "wsoleval", "localization alone"])
def test_val_alone_has_the_labels_of_all_classes(tmp_path, list_form, capsys):
    """Without a training image, from the official archive of 50,000 images and one of boxes."""
    _, val = published.ilsvrc_facts()
    if list_form != "xml":
        standard = {0: 0, 1: 1, 2: 285}  # positions of published.WNIDS in all of ImageNet's
        val = [(name, standard[label], boxes, image) for name, label, boxes, image in val]
    published.pack(tmp_path / "downloads/ILSVRC2012_img_val.tar", {f"{n}.JPEG": i for n, _, _, i in val})
    boxes = published.ilsvrc_box_list(list_form.split()[0].replace("localization", "wsoleval"), tmp_path, val)
    if list_form == "localization alone":
        (boxes / "class_labels.txt").unlink()
    command = ("imagenet", tmp_path / "downloads", tmp_path / "data", "--splits", "val")
    assert "val: found 6 images, expected 50000" in fails(capsys, *command, "--boxes", f"val={boxes}")
    run(*command, "--boxes", f"val={boxes}", "--partial")
    split = datasets.open_split("imagenet", "val", data_dir=tmp_path / "data")
    assert "imagenet: prepared without train (--splits)" in split.notes
    assert len(split.class_names) == 1_000
    assert split.class_names == sorted(split.class_names)
    names = [split.class_names[split[index]["label"]] for index in range(len(split))]
    if list_form == "localization alone":  # the published ones
        assert names == ["n01751748", "n09193705", "n02105855", "n04263257", "n03125729", "n01735189"]
    else:
        assert names == [published.WNIDS[(number * 2) % 3] for number in range(1, 7)]


def test_val_alone_is_not_all_of_imagenet(tmp_path, capsys):
    _, val = imagenet_source("folders", tmp_path / "downloads")
    published.ilsvrc_box_list("xml", tmp_path / "downloads", val)
    source = ("imagenet", tmp_path / "downloads", tmp_path / "data", "--partial")
    assert "--splits: got train, expected val" in fails(capsys, *source, "--splits", "train")
    assert "--splits: got val test, expected val" in fails(capsys, *source, "--splits", "val", "test")
    run(*source, "--splits", "val")
    message = fails(capsys, *source)
    assert "was prepared with --splits, without train; --overwrite builds it again" in message
    with pytest.raises(ValueError, match="without train; to train, prepare all of it") as caught:
        datasets.open_split("imagenet", "train[10%:]", data_dir=tmp_path / "data")
    assert f"imagenet --source DIR --data_dir {tmp_path / 'data'} --overwrite`" in str(caught.value)
    run(*source, "--overwrite")
    run(*source, "--splits", "val")  # a part of what is there
    assert len(datasets.open_split("imagenet", "train", data_dir=tmp_path / "data")) == 9


def test_imagenet_with_imagenet_v2(tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, "NUM_CLASSES", 3)
    _, val = imagenet_source("folders", tmp_path / "downloads")
    published.ilsvrc_box_list("xml", tmp_path / "downloads", val)
    keys = [f"val2/{label}/{label}abc.jpeg" for label in range(3)]
    published.unpack(tmp_path / "downloads", {key: published.encode(1) for key in keys})
    lists = {
        "class_labels.txt": "".join(f"{key},{label}\n" for label, key in enumerate(keys)).encode(),
        "localization.txt": "".join(f"{key},1,2,9,9\n{key},0,0,5,5\n" for key in keys).encode(),
    }
    published.unpack(tmp_path / "lists", lists)
    heldout = ("--heldout", str(tmp_path / "downloads"), str(tmp_path / "lists"))
    run("imagenet", tmp_path / "downloads", tmp_path / "data", "--partial", *heldout)
    split = datasets.open_split("imagenet", "heldout", data_dir=tmp_path / "data")
    assert [split[i]["label"] for i in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(split[1]["boxes_xyxy"], [[1, 2, 9, 9], [0, 0, 5, 5]])


def test_ilsvrc_as_wsolevals_scripts_leave_it(tmp_path, monkeypatch):
    """Its train folder also contains the archive of each class, next to the folder of its images."""
    monkeypatch.setattr(imagenet, "NUM_CLASSES", 3)
    train, val = published.ilsvrc_facts()
    source = published.unpack(
        tmp_path / "dataset/ILSVRC",
        {f"train/{name}": image for name, image in train.items()}
        | {f"val/{name}.JPEG": image for name, _, _, image in val}
        | {f"val2/{label}/{label}abc.jpeg": published.encode(label) for label in range(3)},
    )
    for wnid in published.WNIDS:
        inner = {name: image for name, image in train.items() if name.startswith(wnid)}
        published.pack(source / f"train/{wnid}.tar", inner)
    published.ilsvrc_box_list("wsoleval", tmp_path, val)
    second = {f"val2/{label}/{label}abc.jpeg": (label, [(1, 2, 9, 9)]) for label in range(3)}
    lists = published.unpack(tmp_path / "metadata/ILSVRC/val", published.wsoleval_lists(second)).parent
    run("imagenet", source, tmp_path / "data", "--partial", "--metadata", str(lists))
    opened = {
        name: by_id(datasets.open_split("imagenet", name, data_dir=tmp_path / "data"))
        for name in ("train", "val", "heldout")
    }
    assert {name: record["image"] for name, record in opened["train"].items()} == train
    assert {name: (r["label"], r["boxes_xyxy"].tolist()) for name, r in opened["val"].items()} == {
        f"{name}.JPEG": (label, [list(box) for box in boxes]) for name, label, boxes, _ in val
    }
    assert {name: record["label"] for name, record in opened["heldout"].items()} == {
        name: label for name, (label, _) in second.items()
    }


def test_imagenet_faults(tmp_path, capsys):
    _, val = imagenet_source("folders", tmp_path / "downloads", flat=False)
    source = ("imagenet", tmp_path / "downloads", tmp_path / "data")
    assert "imagenet: no boxes in" in fails(capsys, *source)
    name, label, boxes, _ = val[0]
    renamed = [(name, (label + 1) % 3, boxes, b""), *val[1:]]
    wrong = published.ilsvrc_box_list("kaggle", tmp_path / "wrong", renamed)
    message = fails(capsys, *source, "--partial", "--boxes", f"val={wrong}")
    assert f"{name}.JPEG: its folder and {wrong} give no label, or different ones" in message
    short = published.ilsvrc_box_list("kaggle", tmp_path / "short", val[1:])
    assert f"has no box for {name}.JPEG" in fails(capsys, *source, "--partial", "--boxes", f"val={short}")
    published.ilsvrc_box_list("xml", tmp_path / "downloads", val)
    assert "train: found 9 images, expected 1281167" in fails(capsys, *source)
    assert imagenet.NUM_IMAGES == {"train": 1_281_167, "val": 50_000}


def test_labels_by_index_are_refused_for_a_part_of_the_classes(tmp_path, capsys):
    """They count 1,000 classes, and the source has three."""
    _, val = imagenet_source("folders", tmp_path / "downloads")
    published.ilsvrc_box_list("wsoleval", tmp_path / "downloads", val)
    message = fails(capsys, "imagenet", tmp_path / "downloads", tmp_path / "data", "--partial")
    assert "by an index among 1,000 classes, and the source has 3; expected a list with wnids" in message
    keys = ["val2/0/a.jpeg"]
    published.unpack(tmp_path / "downloads", {key: published.encode(1) for key in keys})
    lists = {"class_labels.txt": b"val2/0/a.jpeg,0\n", "localization.txt": b"val2/0/a.jpeg,1,2,9,9\n"}
    published.unpack(tmp_path / "lists", lists)
    published.ilsvrc_box_list("xml", tmp_path / "downloads", val)
    heldout = ("--heldout", str(tmp_path / "downloads"), str(tmp_path / "lists"))
    message = fails(capsys, "imagenet", tmp_path / "downloads", tmp_path / "other", "--partial", *heldout)
    assert "has 1,000 classes, the data set has 3; its labels would mean other classes" in message


def test_imagenet_v2_under_its_names_since_2021(tmp_path, monkeypatch, capsys):
    """Joined by label and size, where one listed and one found image have them."""
    monkeypatch.setattr(imagenet, "NUM_CLASSES", 3)
    _, val = imagenet_source("folders", tmp_path / "downloads")
    published.ilsvrc_box_list("xml", tmp_path / "downloads", val)
    listed = {"val2/0/0.jpeg": (50, 40), "val2/0/1.jpeg": (60, 40), "val2/1/0.jpeg": (50, 40)}
    listed |= {"val2/2/0.jpeg": (50, 40), "val2/2/1.jpeg": (50, 40)}
    lists = {
        "class_labels.txt": "".join(f"{key},{key.split('/')[1]}\n" for key in listed),
        "localization.txt": "".join(f"{key},1,2,{9 + n},9\n" for n, key in enumerate(listed)),
        "image_sizes.txt": "".join(f"{key},{width},{height}\n" for key, (width, height) in listed.items()),
    }
    published.unpack(tmp_path / "lists", {name: text.encode() for name, text in lists.items()})
    v2 = tmp_path / "v2" / "imagenetv2-matched-frequency-format-val"
    images = {
        f"{key.split('/')[1]}/{'abc'[number % 3]}{number}f.jpeg": published.encode(number, size=size)
        for number, (key, size) in enumerate(listed.items())
    }
    published.unpack(v2, images)
    heldout = ("--heldout", str(tmp_path / "v2"), str(tmp_path / "lists"))
    run("imagenet", tmp_path / "downloads", tmp_path / "data", "--partial", *heldout)
    records = by_id(datasets.open_split("imagenet", "heldout", data_dir=tmp_path / "data"))
    assert {key: record["boxes_xyxy"].tolist() for key, record in records.items()} == {
        "val2/0/0.jpeg": [[1, 2, 9, 9]],
        "val2/0/1.jpeg": [[1, 2, 10, 9]],
        "val2/1/0.jpeg": [[1, 2, 11, 9]],
    }
    assert records["val2/0/1.jpeg"]["image"] == images["0/b1f.jpeg"]
    assert (
        "heldout: 0 of 5 listed images found by name, 3 by label and size; 2 matching none or several are "
        "left out, such as val2/2/0.jpeg"
    ) in capsys.readouterr().err

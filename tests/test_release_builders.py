"""Stanford Dogs, Stanford Cars and FGVC-Aircraft from made-up archives in the published formats."""

import io
from typing import Any

import numpy as np
import published
import pytest
import scipy.io
from published import encode, pack, unpack
from test_published_datasets import by_id, fails, run

from lctr_jax.data import datasets
from lctr_jax.data.published import PUBLISHED_DATASETS

BREEDS = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel")
CARS = ("Audi TTS Coupe 2012", "Ram C/V Cargo Van Minivan 2012")
VARIANTS = ("707-320", "A300B4", "F-16A/B")
CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def mat(**variables):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables)
    return buffer.getvalue()


def column(values):
    """A column of strings, as a cell."""
    cell = np.empty((len(values), 1), object)
    cell[:, 0] = values
    return cell


def structs(rows):
    """A row of structs whose fields have the smallest type of integers, as published."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(v if isinstance(v, str) else np.array([[v]], np.uint16) for v in row.values())
    return array


def dogs():
    """Archives by name, and (split, id, class, boxes, image) of every image; a dog each, or two."""
    facts = []
    for number in range(7):
        breed = BREEDS[number % 2]
        boxes = [[number, 1, 30, 20 + number]] + ([[5, 6, 47, 35]] if number == 3 else [])
        name = f"{breed}/{breed.partition('-')[0]}_{number}.jpg"
        facts.append(("test" if number > 4 else "train", name, breed, boxes, encode(number)))
    lists = {}
    for split in ("train", "test"):
        names = [name for place, name, *_ in facts if place == split]
        labels = [BREEDS.index(name.partition("/")[0]) + 1 for name in names]
        stems = [name.removesuffix(".jpg") for name in names]
        lists[f"{split}_list.mat"] = mat(
            file_list=column(names), annotation_list=column(stems), labels=np.array(labels, np.uint8)[:, None]
        )
    annotation = {
        f"Annotation/{name.removesuffix('.jpg')}": published.ilsvrc_xml("%s", "dog", boxes)
        for _, name, _, boxes, _ in facts
    }
    images = {f"Images/{name}": image for _, name, _, _, image in facts}
    return {"images.tar": images, "annotation.tar": annotation, "lists.tar": lists}, facts


def cars():
    facts, rows = [], {"train": [], "test": []}
    archives: dict[str, Any] = {"cars_train.tgz": {}, "cars_test.tgz": {}}
    for number in range(7):
        split, name = ("test", f"{number - 4:05d}.jpg") if number > 4 else ("train", f"{number + 1:05d}.jpg")
        box, kind = [1, number, 30 + number, 35], (number + 1) % 2
        facts.append((split, f"cars_{split}/{name}", CARS[kind], [box], encode(number)))
        archives[f"cars_{split}.tgz"][f"cars_{split}/{name}"] = facts[-1][-1]
        corners = dict(zip(CORNERS, box, strict=True))
        rows[split].append({**corners, "class": kind + 1, "fname": name})
    unlabeled = [{key: value for key, value in row.items() if key != "class"} for row in rows["test"]]
    archives["car_devkit.tgz"] = {
        "devkit/cars_meta.mat": mat(class_names=column(CARS).T),
        "devkit/cars_train_annos.mat": mat(annotations=structs(rows["train"])),
        "devkit/cars_test_annos.mat": mat(annotations=structs(unlabeled)),
        "devkit/README.txt": b"read me",
    }
    archives["cars_test_annos_withlabels.mat"] = mat(annotations=structs(rows["test"]))
    return archives, facts


def aircraft():
    """The official archive: `trainval` is `train`, one image in two divided into `train` and `val`."""
    files, facts, lines = {}, [], {"trainval": [], "test": [], "train": [], "val": []}
    boxes = []
    for number in range(9):
        name, variant, box = f"{1000000 + number}", VARIANTS[number % 3], [1, 2 + number, 40, 30]
        split = "test" if number > 5 else "train"
        facts.append((split, f"{name}.jpg", variant, [box], encode(number)))
        files[f"data/images/{name}.jpg"] = facts[-1][-1]
        boxes.append(f"{name} {' '.join(map(str, box))}")
        for listed in ("test",) if split == "test" else ("trainval", ("train", "val")[number % 2]):
            lines[listed].append(f"{name} {variant}")
    files |= {f"data/images_variant_{listed}.txt": "\n".join(rows).encode() for listed, rows in lines.items()}
    files |= {
        "data/images_box.txt": "\n".join(boxes).encode(),
        "data/variants.txt": "\n".join(VARIANTS).encode(),
    }
    archive = {f"fgvc-aircraft-2013b/{name}": content for name, content in files.items()}
    return {"fgvc-aircraft-2013b.tar.gz": archive}, facts


RELEASES = {"dogs": (dogs, BREEDS), "cars": (cars, CARS), "aircraft": (aircraft, VARIANTS)}


def write(name, folder, *, packed=True):
    archives, facts = RELEASES[name][0]()
    for archive, content in archives.items():
        if isinstance(content, bytes):
            unpack(folder, {archive: content})
        elif packed:
            pack(folder / archive, content, "w:gz" if archive.endswith("gz") else "w")
        else:
            unpack(folder, content)
    return facts


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", RELEASES)
def test_every_field(name, packed, tmp_path, capsys):
    facts = write(name, tmp_path / "downloads", packed=packed)
    run(name, tmp_path / "downloads", tmp_path / "data", "--partial")
    said = capsys.readouterr().err
    assert ("with the copyright line in their bottom 20 pixels" in said) == (name == "aircraft")
    for split in ("train", "test"):
        opened = datasets.open_split(name, split, data_dir=tmp_path / "data")
        assert (opened.class_names, opened.has_boxes) == (list(RELEASES[name][1]), True)
        expected = {image_id: rest for place, image_id, *rest in facts if place == split}
        records = by_id(opened)
        assert records.keys() == expected.keys()
        for image_id, (kind, boxes, image) in expected.items():
            record = records[image_id]
            assert (opened.class_names[record["label"]], record["image"]) == (kind, image)
            np.testing.assert_array_equal(record["boxes_xyxy"], boxes)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("dogs", (12_000, 8_580)), ("cars", (8_144, 8_041)), ("aircraft", (6_667, 3_333))],
)
def test_counts_are_checked_and_the_way_to_the_data_is_told(name, counts, tmp_path, capsys):
    write(name, tmp_path / "downloads")
    message = fails(capsys, name, tmp_path / "downloads", tmp_path / "data")
    assert f"train: found {5 + (name == 'aircraft')} images, expected {counts[0]}" in message
    builder = PUBLISHED_DATASETS[name].builder
    assert tuple(builder.NUM_IMAGES.values()) == counts
    with pytest.raises(FileNotFoundError, match=f"{name} is not prepared in .*{builder.ARCHIVES[0]}"):
        datasets.open_split(name, "train", data_dir=tmp_path / "none")


def test_what_is_missing_or_damaged_is_named(tmp_path, capsys):
    def mistake(name, change):
        archives, _ = RELEASES[name][0]()
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        files = {}
        for archive, content in archives.items():
            files |= {archive: content} if isinstance(content, bytes) else content
        change(files)
        return fails(capsys, name, unpack(folder, files), folder / "data", "--partial")

    def drop(suffix):
        return lambda files: [files.pop(key) for key in list(files) if key.endswith(suffix)]

    def put(suffix, content):
        return lambda files: files.update({key: content for key in files if key.endswith(suffix)})

    assert "cars_test_annos_withlabels.mat is not in" in mistake("cars", drop("withlabels.mat"))
    assert "n02085620_0 is not in" in mistake("dogs", drop("n02085620_0"))
    assert "cars_meta.mat: expected an undamaged .mat file" in mistake("cars", put("meta.mat", b"MATLAB 5.0"))
    assert "train_list.mat: expected the variable file_list" in mistake(
        "dogs", put("train_list.mat", mat(a=1))
    )
    one = mat(annotations=structs([{"fname": "00001.jpg", "class": 7} | dict.fromkeys(CORNERS, 3)]))
    assert "cars_train/00001.jpg has class 7; expected 1 to 2" in mistake("cars", put("train_annos.mat", one))
    assert "an image has no 'class', only" in mistake(
        "cars", put("annos_withlabels.mat", mat(annotations=structs([{"fname": "00001.jpg"}])))
    )
    assert "image 1000000: its variant '707-320' or its box" in mistake(
        "aircraft", put("variants.txt", b"A300B4")
    )
    boxes = b"".join(f"{1000000 + number} 1 2\n".encode() for number in range(9))
    assert "image 1000000: expected four corners, got '1 2'" in mistake("aircraft", put("box.txt", boxes))
    lists = mat(file_list=column(["a/x.jpg"]), labels=np.array([[1], [2]]))
    assert "train_list.mat has 1 images and 2 labels" in mistake("dogs", put("train_list.mat", lists))

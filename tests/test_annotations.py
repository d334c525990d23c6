"""Predicted boxes in the formats of annotation tools, read back by those tools' own libraries."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lctr_jax.annotations.formats import parse_formats, write_annotations
from lctr_jax.data.box_lists import read_boxes

NAMES = ("sparrow", 'owl: "barn"', "étoile 😀")
BOXES = {
    "birds/a.jpg": [(0, 3.0, 4.0, 41.0, 37.0, 0.75), (2, 0.0, 0.0, 60.0, 45.0, 0.5)],
    "birds/b.jpg": [(1, 10.0, 20.0, 30.0, 40.0, 0.25)],
    "empty.jpg": [],
}
TRIANGLE = [3.0, 4.0, 41.0, 4.0, 3.0, 37.0]


def line(root, file, boxes, **changes):
    entry = {"id": str(root / file), "file": file, "width": 60, "height": 45}
    entry["boxes"] = [
        {"label": label, "name": NAMES[label], "score": score, "box": corners, "found": True}
        for label, *corners, score in boxes
    ]
    return entry | changes


@pytest.fixture
def predictions(tmp_path):
    lines = [line(tmp_path / "photos", file, boxes) for file, boxes in BOXES.items()]
    lines[0]["boxes"][0]["polygons"] = [TRIANGLE]
    lines[2]["boxes"] = [
        {"label": 0, "name": "sparrow", "score": 0.0, "box": [0, 0, 60, 45], "found": False}  # a flat map
    ]
    for entry in lines:
        path = tmp_path / "photos" / entry["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 45)).save(path)
    (tmp_path / "predictions.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return tmp_path / "predictions.jsonl"


def write(predictions, formats):
    folder = predictions.parent / "annotations"
    write_annotations(folder, predictions, formats=parse_formats(formats), class_names=NAMES)
    return folder


def expected(file):
    boxes = BOXES[file]
    return [label for label, *_ in boxes], np.array([box[1:5] for box in boxes]).reshape(-1, 4)


def by_file(root, found):
    return {str(path)[len(str(root.resolve())) + 1 :]: detections for path, detections in found.items()}


def test_coco_is_read_by_pycocotools(predictions):
    pycocotools = pytest.importorskip("pycocotools.coco")
    coco = pycocotools.COCO(str(write(predictions, "coco") / "coco.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(NAMES)
    for image in coco.loadImgs(coco.getImgIds()):
        labels, boxes = expected(image["file_name"])
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        assert [annotation["category_id"] - 1 for annotation in annotations] == labels
        xywh = np.array([annotation["bbox"] for annotation in annotations]).reshape(-1, 4)
        np.testing.assert_allclose(np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]), boxes)
        assert (image["width"], image["height"]) == (60, 45)
        for annotation in annotations:
            # The rasterized mask and the polygon's area differ by the pixels on its outline.
            assert coco.annToMask(annotation).sum() == pytest.approx(annotation["area"], rel=0.05)


def test_cocos_segmentation_is_the_region_where_there_is_one_and_the_box_elsewhere(predictions):
    annotations = json.loads((write(predictions, "coco") / "coco.json").read_text())["annotations"]
    assert annotations[0]["segmentation"] == [TRIANGLE]
    assert annotations[0]["area"] == pytest.approx(38 * 33 / 2)
    assert annotations[1]["area"] == 60 * 45
    assert [annotation["score"] for annotation in annotations] == [0.75, 0.5, 0.25]


def test_coco_is_read_by_supervision(predictions):
    sv = pytest.importorskip("supervision")
    root = predictions.parent / "photos"
    found = sv.DetectionDataset.from_coco(str(root), str(write(predictions, "coco") / "coco.json"))
    assert found.classes == list(NAMES)
    for file, detections in by_file(root, found.annotations).items():
        labels, boxes = expected(file)
        assert detections.class_id.tolist() == labels
        np.testing.assert_allclose(detections.xyxy, boxes)


def test_yolo_is_read_by_supervision(predictions):
    sv = pytest.importorskip("supervision")
    folder = write(predictions, "yolo") / "yolo"
    found = sv.DetectionDataset.from_yolo(
        str(folder / "images/birds"), str(folder / "labels/birds"), str(folder / "data.yaml")
    )
    assert found.classes == list(NAMES)
    assert len(found.annotations) == 2
    for path, detections in found.annotations.items():
        labels, boxes = expected(f"birds/{path.rpartition('/')[2]}")
        assert detections.class_id.tolist() == labels
        np.testing.assert_allclose(detections.xyxy, boxes, atol=1e-4)


def test_yolos_images_lie_where_their_labels_are_looked_for(predictions):
    folder = write(predictions, "yolo") / "yolo"
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert [data["names"][label] for label in range(3)] == list(NAMES)
    for split in ("train", "val"):
        images = sorted((folder / data[split]).rglob("*.jpg"))
        assert [str(image.relative_to(folder / "images")) for image in images] == sorted(BOXES)
        for image in images:
            Image.open(image).verify()
            # The rule of Ultralytics' trainer.
            label = str(image).replace("/images/", "/labels/").removesuffix(".jpg") + ".txt"
            lines = Path(label).read_text(encoding="utf-8").splitlines()
            assert len(lines) == len(BOXES[str(image.relative_to(folder / "images"))])


def test_voc_is_read_by_supervision(predictions):
    sv = pytest.importorskip("supervision")
    folder = write(predictions, "voc") / "voc"
    root = predictions.parent / "photos" / "birds"
    found = sv.DetectionDataset.from_pascal_voc(str(root), str(folder / "birds"))
    for path, detections in found.annotations.items():
        labels, boxes = expected(f"birds/{path.rpartition('/')[2]}")
        assert [found.classes[label] for label in detections.class_id] == [NAMES[label] for label in labels]
        np.testing.assert_allclose(detections.xyxy, boxes)


def test_voc_names_its_image(predictions):
    root = ET.parse(write(predictions, "voc") / "voc/birds/a.xml").getroot()
    assert (root.findtext("folder"), root.findtext("filename")) == ("birds", "a.jpg")
    assert (root.findtext("size/width"), root.findtext("size/height")) == ("60", "45")


def test_label_studio_is_read_by_its_converter(predictions):
    converter = pytest.importorskip("label_studio_sdk.converter")
    folder = write(predictions, "labelstudio")
    tasks = json.loads((folder / "labelstudio.json").read_text())
    # The converter exports annotations; an accepted prediction is one.
    accepted = [
        {**task, "id": number, "annotations": [{"id": 1, "result": task["predictions"][0]["result"]}]}
        for number, task in enumerate(tasks, 1)
    ]
    (folder / "accepted.json").write_text(json.dumps(accepted))
    convert = converter.Converter(str(folder / "labelstudio.xml"), str(folder), download_resources=False)
    convert.convert(str(folder / "accepted.json"), str(folder / "out"), "COCO", is_dir=False)
    found = json.loads((folder / "out/result.json").read_text())
    names = {category["id"]: category["name"] for category in found["categories"]}
    boxes = [(names[entry["category_id"]], *entry["bbox"]) for entry in found["annotations"]]
    ours = [
        (NAMES[label], x0, y0, x1 - x0, y1 - y0)
        for entry in BOXES.values()
        for label, x0, y0, x1, y1, _ in entry
    ]
    assert [name for name, *_ in boxes] == [name for name, *_ in ours]
    np.testing.assert_allclose([box[1:] for box in boxes], [box[1:] for box in ours])


def test_label_studios_tasks_fit_its_labeling_interface(predictions):
    folder = write(predictions, "labelstudio")
    interface = ET.parse(folder / "labelstudio.xml").getroot()
    image, control = interface.find("Image"), interface.find("RectangleLabels")
    assert image is not None
    assert control is not None
    assert [label.get("value") for label in control] == list(NAMES)
    tasks = json.loads((folder / "labelstudio.json").read_text())
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [2, 1, 0]
    assert image.get("value") == "$image"
    assert all("image" in task["data"] for task in tasks)
    result = tasks[0]["predictions"][0]["result"][0]
    assert (result["from_name"], result["to_name"]) == (control.get("name"), image.get("name"))
    assert result["value"]["width"] / 100 * 60 == pytest.approx(38)
    assert result["score"] == 0.75
    assert tasks[0]["predictions"][0]["score"] == 0.75


def test_csv_holds_every_box(predictions):
    with open(write(predictions, "csv") / "boxes.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["birds/a.jpg", "birds/a.jpg", "birds/b.jpg"]
    assert [row["name"] for row in rows] == [NAMES[0], NAMES[2], NAMES[1]]
    assert [float(rows[0][corner]) for corner in ("x0", "y0", "x1", "y1")] == [3, 4, 41, 37]


def test_images_that_differ_in_suffix_alone_keep_files_of_their_own(tmp_path):
    lines = [
        line(tmp_path, file, [(0, 0, 0, 10, number, 1.0)])
        for number, file in enumerate(("a.jpg", "A.png", "a.webp"), 1)
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    write_annotations(tmp_path / "out", tmp_path / "p.jsonl", formats=("voc", "yolo"), class_names=NAMES)
    written = {path.name: ET.parse(path).findtext("filename") for path in (tmp_path / "out/voc").iterdir()}
    assert written == {"a.xml": "a.jpg", "A_2.xml": "A.png", "a_3.xml": "a.webp"}
    assert {path.name for path in (tmp_path / "out/yolo/labels").iterdir()} == {"a.txt", "A_2.txt", "a_3.txt"}
    assert {path.name for path in (tmp_path / "out/yolo/images").iterdir()} == {
        "a.jpg",
        "A_2.png",
        "a_3.webp",
    }


def test_names_that_xml_cannot_hold_are_replaced(tmp_path):
    entry = line(tmp_path, "a\x01b\udcff.jpg", [(0, 0, 0, 10, 10, 1.0)])
    (tmp_path / "p.jsonl").write_text(json.dumps(entry) + "\n")
    write_annotations(
        tmp_path / "out",
        tmp_path / "p.jsonl",
        formats=("voc", "csv", "coco", "labelstudio"),
        class_names=NAMES,
    )
    (file,) = (tmp_path / "out/voc").iterdir()
    assert ET.parse(file).findtext("filename") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}.jpg"


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="got 'kitti', expected a list from coco,yolo,voc,labelstudio,csv"):
        parse_formats("coco,kitti")


@pytest.mark.parametrize("damaged", ["{", "[]", '{"boxes": 3}', "null", '{"boxes": [{}]}', "[" * 100_000])
def test_a_damaged_line_is_named(damaged, predictions):
    predictions.write_text(predictions.read_text() + damaged + "\n")
    with pytest.raises(ValueError, match=r"predictions.jsonl:4: expected a line of lctr_jax.predict"):
        write(predictions, "csv")


def test_our_reader_of_box_lists_reads_back_what_we_write(predictions):
    for name in ("coco", "voc", "csv"):
        folder = write(predictions, name)
        written = {"coco": folder / "coco.json", "voc": folder / "voc", "csv": folder / "boxes.csv"}[name]
        read = read_boxes(written)
        for file, boxes in BOXES.items():
            if boxes or name != "csv":  # which has no row for an image without boxes
                corners = np.array([box[1:5] for box in boxes]).reshape(-1, 4)
                np.testing.assert_array_equal(read[file], corners, err_msg=f"{name} {file}")


def test_voc_corners_are_read_back_to_whole_pixels_at_every_border(predictions):
    corners = [[0.0, 0.0, 60.0, 45.0], [0.4, 0.6, 59.6, 44.4], [59.0, 44.0, 60.0, 45.0], [7.2, 8.0, 7.4, 8.1]]
    entry = line(predictions.parent / "photos", "empty.jpg", [(0, *box, 0.5) for box in corners])
    predictions.write_text(json.dumps(entry) + "\n")
    read = read_boxes(write(predictions, "voc") / "voc")["empty.jpg"]
    expected = [[0, 0, 60, 45], [0, 1, 60, 44], [59, 44, 60, 45], [7, 8, 8, 9]]
    assert read.tolist() == expected

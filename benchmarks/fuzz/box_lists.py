"""Box lists in every format, synthetic and damaged, and their matching with images."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.damage import changed_json, damaged, json_files
from lctr_jax.data import box_lists, box_matching
from lctr_jax.data.image_sizes import read_image_sizes

_NUMERALS = st.sampled_from(
    ["0", "1", "-5", "7.5", "1e300", "nan", "-inf", "9" * 400, ".", "-", "٣", "x", ""]
)
_NAMES = st.sampled_from(
    [
        "a/b.jpg",
        "../b.jpg",
        "/etc/passwd",
        "a\\..\\b",
        "n01440764",
        "",
        "a b",
        "\x00",
        "ü",
        '"',
        "a/B.JPG",
        "val/a/b.jpg",
    ]
)
_WORDS = st.lists(_NAMES | _NUMERALS | st.text(max_size=4), max_size=12)
_LINES = st.builds(
    lambda words, separator: separator.join(words), _WORDS, st.sampled_from([" ", ",", "\t", ", ", ";"])
)
_HEADERS = st.sampled_from(
    [
        "",
        "ImageId,PredictionString\n",
        "\ufeff",
        "<xml>",
        "image,x0,y0,x1,y1\n",
        "x;y;w;h;file;class\n",
        "{",
        "[\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\n",
    ]
)
_MADE_UP = st.builds(str.__add__, _HEADERS, st.lists(_LINES, max_size=5).map("\n".join))
_SOUND = (
    "a/b.jpg 0 1 2 30 40 5 6 7 8\na/c.jpg 1 1 2 3 4\n",
    "a/b.jpg,1,2,30,40\na/b.jpg,5,6,7,8\n",
    "ImageId,PredictionString\nb,n01 1 2 30 40 n01 5 6 7 8\n",
    "filename,width,height,class,xmin,ymin,xmax,ymax\na/b.jpg,9,9,cat,1,2,3,4\n",
)
LISTS = (
    _MADE_UP.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from([text.encode() for text in _SOUND]).flatmap(damaged)
    | st.sampled_from([text.encode("utf-16") for text in _SOUND]).flatmap(damaged)
    | st.binary(max_size=60)
)
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a/b.jpg", "width": 9, "height": 9}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}],
    "categories": [{"id": 2, "name": "cat"}],
}
_COCO_ENTRIES = changed_json({**COCO["images"][0], **COCO["annotations"][0], "name": "cat"}).map(
    lambda entry: json.dumps({"images": [entry], "annotations": [entry], "categories": [entry]}).encode()
)
XML = b"""<annotation><folder>a</folder><filename>b.jpg</filename><object><name>n1</name><bndbox>
<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"""
_DECLARED = st.builds(
    lambda name, codec, doctype: (
        f'<?xml version="1.0" encoding="{name}"?>'.encode(codec) + (doctype + XML.decode()).encode(codec)
    ),
    st.sampled_from(
        ["utf-8", "UTF-16", "klingon", "cp037", "shift_jis", "utf-7", "idna", "", "utf-32", "rot13"]
    ),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32"]),
    st.sampled_from(
        ["", '<!DOCTYPE a [<!ENTITY b "c">]>', "<!-- c -->", '<!DOCTYPE a SYSTEM "file:///etc/passwd">']
    ),
)
_DEEP = st.sampled_from(
    [b"<a>" * 20_000, b"<annotation>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</annotation>"]
)
_FIELDS = st.tuples(_NAMES, _NAMES, _NAMES, *[_NUMERALS] * 4).map(
    lambda values: (
        (
            "<annotation><folder>{}</folder><filename>{}</filename><object><name>{}</name><bndbox><xmin>{}</xmin>"
            "<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>"
        )
        .format(*values)
        .encode()
    )
)
XML_FILES = damaged(XML) | _FIELDS | _DECLARED | _DECLARED.flatmap(damaged) | _DEEP
IMAGE_IDS = ["a/b.jpg", "a/B.jpg", "a/c.jpg", "c/b.jpg", "ü/ü.png"]


def _check(annotations: dict[str, box_lists.Annotation]) -> None:
    for name, annotation in annotations.items():
        boxes = annotation.boxes_xyxy
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        assert not PurePosixPath(name).is_absolute()
        assert ".." not in PurePosixPath(name).parts
        assert len(annotation.box_labels) in (0, len(boxes))
    matches = box_matching.match(annotations, IMAGE_IDS, split=("val",), other_splits=("train",))
    assert matches.by_image.keys() <= set(IMAGE_IDS)
    assert len(matches.by_image) + len(matches.unmatched) == len(annotations)


def _read(folder: Path, content: bytes) -> None:
    path = folder / "val_boxes.txt"
    path.write_bytes(content)
    _check(box_lists.read_annotations(path))


def _json(folder: Path, content: bytes) -> None:
    path = folder / "boxes.json"
    path.write_bytes(content)
    _check(box_lists.read_annotations(path))


def _xml(folder: Path, content: bytes) -> None:
    path = folder / "b.xml"
    path.write_bytes(content)
    _check(box_lists.read_annotations(path))


def _cub(folder: Path, contents: tuple[bytes, bytes]) -> None:
    cub = folder / "cub"
    cub.mkdir(exist_ok=True)
    for name, content in zip(("images.txt", "bounding_boxes.txt"), contents, strict=True):
        (cub / name).write_bytes(content)
    _check(box_lists.read_annotations(cub))


def _image_sizes(folder: Path, content: bytes) -> None:
    path = folder / "sizes.txt"
    path.write_bytes(content)
    assert all(width > 0 and height > 0 for width, height in read_image_sizes(path).values())


def _class_labels(folder: Path, content: bytes) -> None:
    path = folder / "class_labels.txt"
    path.write_bytes(content)
    assert all(label >= 0 for label in box_lists.read_class_labels(path).values())


_CUB = st.sampled_from([b"1 a/b.jpg\n2 a/c.jpg\n", b"1 1 2 3 4\n2 5 6 7 8\n"]).flatmap(damaged) | LISTS
CASES = (
    Case("box lists", "text and tables", LISTS, _read),
    Case("box lists", "COCO", json_files(COCO) | _COCO_ENTRIES, _json),
    Case("box lists", "CUB", st.tuples(_CUB, _CUB), _cub),
    Case("box lists", "image sizes", LISTS, _image_sizes),
    Case("box lists", "class labels", LISTS, _class_labels),
    Case("XML", "one file", XML_FILES, _xml),
)

"""Box lists that labeling tools write: CSV tables, COCO's JSON, Pascal VOC's XML."""

import json
import tarfile

import pytest
from test_box_lists import plain, write

from lctr_jax.data import box_lists


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,90,80,cat,1,2,30,40\na.jpg,90,80,cat,5,6,7,8.5\n",
        "image,x,y,w,h,label\na.jpg,1,2,29,38,cat\na.jpg,5,6,2,2.5,cat\n",
        "label_name;bbox_x;bbox_y;bbox_width;bbox_height;image_name\ncat;1;2;29;38;a.jpg\ncat;5;6;2;2.5;a.jpg\n",
        '\ufeff"X1" ,"Y1","X2","Y2","Path","Class"\r\n1,2,30,40,"a.jpg",cat\r\n\r\n5,6,7,8.5,a.jpg,cat\r\n',
        "path\tx0\ty0\tx1\ty1\tclass\na.jpg\t1\t2\t30\t40\tcat\na.jpg\t5\t6\t7\t8.5\tcat\n",
    ],
    ids=["corners", "sides", "semicolons", "quoted", "tabs"],
)
def test_tables_with_a_header(tmp_path, text):
    path = write(tmp_path / "boxes.csv", text)
    read = box_lists.read_annotations(path)
    assert plain(read) == {"a.jpg": ([[1, 2, 30, 40], [5, 6, 7, 8.5]], "cat")}
    assert read["a.jpg"].box_labels == ("cat", "cat")


def test_a_header_with_an_odd_separator_of_lines_is_one_line(tmp_path):
    path = write(tmp_path / "boxes.csv", "x0,y0,x1,y1,image,odd\x0bname\n1,2,3,4,a.jpg,z\n")
    assert plain(box_lists.read_annotations(path)) == {"a.jpg": ([[1, 2, 3, 4]], None)}
    path = write(tmp_path / "boxes.csv", "image\x1cname,image,x0,y0,x1,y1\nz,a.jpg,1,2,3,4\n")
    assert plain(box_lists.read_annotations(path)) == {"a.jpg": ([[1, 2, 3, 4]], None)}


def test_a_row_without_coordinates_is_an_image_without_boxes(tmp_path):
    path = write(tmp_path / "boxes.csv", "image,x0,y0,x1,y1\na.jpg,,,,\nb.jpg,1,2,3,4\n")
    assert plain(box_lists.read_annotations(path)) == {"a.jpg": ([], None), "b.jpg": ([[1, 2, 3, 4]], None)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,x0,y0,x1,y1\na.jpg,1,2,3\n", r"boxes:2: expected 5 columns or more, got 4"),
        ("image,x0,y0,x1,y1\na.jpg,1,2,x,4\n", r"boxes:2: expected numbers, got '1 2 x 4'"),
        ("image,x0,y0,x1,y1\na.jpg,9,2,3,4\n", r"boxes:2: expected x0 <= x1"),
        ("ImageID,XMin,XMax,YMin,YMax\na,0.1,0.9,0.2,1\n", "fractions of the image's size; expected pixels"),
        (
            "image,x0,y0\na.jpg,1,2\n",
            "boxes:1: expected a box list .*LCTR.*wsoleval.*Kaggle.*CSV.*COCO.*VOC.*CUB",
        ),
        ("hello world\n", "boxes:1: expected a box list .*LCTR.*wsoleval.*Kaggle.*CSV.*COCO.*VOC.*CUB"),
    ],
)
def test_faults_of_tables_name_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        box_lists.read_annotations(write(tmp_path / "boxes", text))
    assert "\n" not in str(caught.value)


COCO = {
    "images": [
        {"id": 7, "file_name": "cat/a.jpg", "width": 90, "height": 80},
        {"id": "x", "file_name": "cat/b.jpg"},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 29, 38.5]},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"}],
}


@pytest.mark.parametrize("name", ["boxes.json", "boxes.txt"])
def test_coco(tmp_path, name):
    read = box_lists.read_annotations(write(tmp_path / name, json.dumps(COCO)))
    assert plain(read) == {
        "cat/a.jpg": ([[1, 2, 30, 40.5], [0, 0, 9, 9]], "cat"),
        "cat/b.jpg": ([], None),
    }
    assert read["cat/a.jpg"].box_labels == ("cat", "person")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, "expected COCO's JSON with `images`"),
        ({"images": [{"id": 7}]}, r"images\[0\]: expected `file_name`"),
        ({"images": [{"id": 7, "file_name": "../a.jpg"}]}, "leaves the image folder"),
        ({"annotations": [{"image_id": 8, "bbox": [1, 2, 3, 4]}]}, "name image_id 8, not in `images`"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 3]}]}, r"annotations\[0\]: expected `bbox`"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, True, 4]}]}, "expected numbers in `bbox`"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, -3, 4]}]}, "expected x0 <= x1"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 10**400, 4]}]}, "expected numbers|not JSON"),
        ({"annotations": [{"image_id": 7}]}, "expected `bbox`"),
    ],
)
def test_faults_of_coco(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        box_lists.read_annotations(write(tmp_path / "boxes.json", json.dumps(COCO | change)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, '{"a":' * 100_000, "", '"text"'])
def test_other_json(tmp_path, text):
    with pytest.raises(ValueError, match=r"boxes\.json"):
        box_lists.read_annotations(write(tmp_path / "boxes.json", text))


def voc(filename, *boxes, folder="photos", encoding="utf-8", comment="made by hand"):
    objects = "".join(
        f"<object><name>{name}</name><bndbox><ymin>{y0}</ymin><xmin> {x0} </xmin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox><part><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>1</xmax><ymax>1</ymax></bndbox>"
        "</part></object>"
        for name, x0, y0, x1, y1 in boxes
    )
    text = (
        f"<?xml version='1.0' encoding='{encoding}'?><!-- {comment} --><annotation><folder>{folder}</folder>"
        f"<filename>{filename}</filename><path>C:\\photos\\x.jpg</path>{objects}</annotation>"
    )
    return text.encode(encoding)


def test_labelimg_files_keep_their_folder_and_suffix(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.xml").write_bytes(voc("1.jpg", (name, 1, 2, 3, 4), folder=name))
    boxes = ("cat", 5, 6, 7, 8), ("dog", 1, 1, 2, 2)
    (tmp_path / "cat" / "2.XML").write_bytes(voc("2.jpg", *boxes, encoding="utf-16"))
    read = box_lists.read_annotations(tmp_path)
    assert plain(read) == {
        "cat/1.jpg": ([[1, 2, 3, 4]], "cat"),
        "dog/1.jpg": ([[1, 2, 3, 4]], "dog"),
        "cat/2.jpg": ([[5, 6, 7, 8], [1, 1, 2, 2]], "cat"),
    }
    assert read["cat/2.jpg"].box_labels == ("cat", "dog")
    assert read["cat/2.jpg"].spellings == ("photos/2.jpg", "2.jpg", "2")


def test_two_files_of_one_image_are_not_merged(tmp_path):
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_bytes(voc("1.jpg", ("cat", 1, 2, 3, 4)))
    with pytest.raises(ValueError, match=r"b\.xml: '1\.jpg' has more than one annotation"):
        box_lists.read_annotations(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_document_type_is_refused_in_any_encoding(tmp_path, encoding):
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    text = f'{mark}<!DOCTYPE a [<!ENTITY b "c">]><annotation><filename>&b;</filename></annotation>'
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match=r"a\.xml: not a Pascal VOC annotation: it declares a document type"):
        box_lists.read_annotations(tmp_path)


def test_an_unknown_encoding_is_refused(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"<?xml version='1.0' encoding='klingon'?><annotation/>")
    with pytest.raises(ValueError, match=r"a\.xml: not a Pascal VOC annotation: .*klingon"):
        box_lists.read_annotations(tmp_path)


def test_links_of_an_archive_are_no_annotations(tmp_path):
    archive = tmp_path / "boxes.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("a.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "nowhere.xml"
        tar.addfile(link)
    with pytest.raises(ValueError, match="contains no images"):
        box_lists.read_annotations(archive)


def test_a_list_in_utf_16(tmp_path):
    path = tmp_path / "val_boxes.txt"
    path.write_bytes("cat/ü.jpg 0 1 2 3 4\r\n".encode("utf-16"))
    assert plain(box_lists.read_annotations(path)) == {"cat/ü.jpg": ([[1, 2, 3, 4]], 0)}


def test_a_cub_list_that_is_a_line_short(tmp_path):
    write(tmp_path / "images.txt", "1 a/1.jpg\n2 a/2.jpg\n")
    write(tmp_path / "bounding_boxes.txt", "1 1 2 3 4\n")
    with pytest.raises(ValueError, match=r"no box for 1 of the 2 images of images\.txt, such as 2 a/2\.jpg"):
        box_lists.read_annotations(tmp_path)
    write(tmp_path / "bounding_boxes.txt", "1 1 2 3 4\n1 1 2 3 4\n")
    with pytest.raises(ValueError, match=r"bounding_boxes\.txt:2: id 1 is listed twice"):
        box_lists.read_annotations(tmp_path)


def test_a_long_line_takes_no_longer_than_its_length(tmp_path):
    path = write(tmp_path / "val_boxes.txt", "a.jpg 0 1 2 3 4\nb.jpg" + " 1" * 200_000 + " x\n")
    with pytest.raises(ValueError, match=r"val_boxes\.txt:2: expected") as caught:
        box_lists.read_annotations(path)
    assert len(str(caught.value)) < 600

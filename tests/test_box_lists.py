import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lctr_jax.data import box_lists

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"

ILSVRC_XML = """<annotation>
	<folder>val</folder>
	<filename>ILSVRC2012_val_00000001</filename>
	<source><database>ILSVRC_2012</database></source>
	<size><width>500</width><height>375</height><depth>3</depth></size>
	<segmented>0</segmented>
	<object>
		<name>n01751748</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
		<bndbox><xmin>111</xmin><ymin>108</ymin><xmax>441</xmax><ymax>193</ymax></bndbox>
	</object>
	<object>
		<name>n01751748</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
		<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
	</object>
</annotation>
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def plain(annotations):
    return {key: (a.boxes_xyxy.tolist(), a.label) for key, a in annotations.items()}


def test_lctr_list_with_spaces_tabs_and_several_boxes(tmp_path):
    path = write(
        tmp_path / "val_boxes.txt",
        "n01/a.JPEG 0 1 2 30 40\nn02/b.JPEG\t1\t5 6 7.5 8\t9 10 11 12\r\n\nn02/c d.JPEG 1 0 0 3 3\n",
    )
    assert plain(box_lists.read_annotations(path)) == {
        "n01/a.JPEG": ([[1, 2, 30, 40]], 0),
        "n02/b.JPEG": ([[5, 6, 7.5, 8], [9, 10, 11, 12]], 1),
        "n02/c d.JPEG": ([[0, 0, 3, 3]], 1),
    }


def test_wsoleval_list_keeps_every_box_of_an_image(tmp_path):
    path = write(
        tmp_path / "localization.txt", "val2/0/a.jpeg,1,2,3,4\nval2/0/b.jpeg,0,0,9,9\nval2/0/a.jpeg,5,6,7,8\n"
    )
    expected = {
        "val2/0/a.jpeg": ([[1, 2, 3, 4], [5, 6, 7, 8]], None),
        "val2/0/b.jpeg": ([[0, 0, 9, 9]], None),
    }
    assert plain(box_lists.read_annotations(path)) == expected
    assert plain(box_lists.read_annotations(tmp_path)) == expected


def test_wsolevals_folder_of_a_split_is_a_list(tmp_path):
    write(tmp_path / "CUB/test/localization.txt", "a/1.jpg,1,2,3,4\n")
    write(tmp_path / "CUB/test/class_labels.txt", "a/1.jpg,0\n")
    assert plain(box_lists.read_annotations(tmp_path / "CUB/test")) == {"a/1.jpg": ([[1, 2, 3, 4]], None)}
    with pytest.raises(ValueError, match=r"contains the lists of test; give one of them, such as .*CUB/test"):
        box_lists.read_annotations(tmp_path / "CUB")
    masks = write(tmp_path / "OpenImages/localization.txt", "a/1.jpg,a/1_m0_1.png,a/1_ignore.png\n")
    for path in (masks, masks.parent):
        with pytest.raises(ValueError, match=r"localization.txt:1: names mask files, .*prepare openimages"):
            box_lists.read_annotations(path)


def test_cub_folder_gives_corners_from_x_y_w_h(tmp_path):
    write(tmp_path / "images.txt", "1 001.Albatross/a_1.jpg\n2 002.Auklet/b_2.jpg\n")
    write(tmp_path / "bounding_boxes.txt", "1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n")
    expected = {
        "001.Albatross/a_1.jpg": ([[60, 27, 385, 331]], None),
        "002.Auklet/b_2.jpg": ([[139, 30, 292, 294]], None),
    }
    assert plain(box_lists.read_annotations(tmp_path)) == expected
    assert plain(box_lists.read_annotations(tmp_path / "bounding_boxes.txt")) == expected


def test_kaggle_csv(tmp_path):
    path = write(
        tmp_path / "LOC_val_solution.csv",
        "ImageId,PredictionString\nILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"
        "ILSVRC2012_val_00037956,n03481172 131 0 499 254 n03481172 1 2 3 4\n",
    )
    assert plain(box_lists.read_annotations(path)) == {
        "ILSVRC2012_val_00048981": ([[85, 1, 499, 272]], "n03995372"),
        "ILSVRC2012_val_00037956": ([[131, 0, 499, 254], [1, 2, 3, 4]], "n03481172"),
    }


@pytest.mark.parametrize("form", ["folder", "file", "tar", "tgz"])
def test_ilsvrc_xml(tmp_path, form):
    path = write(tmp_path / "val" / "ILSVRC2012_val_00000001.xml", ILSVRC_XML)
    key = "ILSVRC2012_val_00000001" if form == "file" else "val/ILSVRC2012_val_00000001"
    if form == "folder":
        path = tmp_path
    elif form != "file":
        archive = tmp_path / f"ILSVRC2012_bbox_val_v3.{form}"
        with tarfile.open(archive, "w:gz" if form == "tgz" else "w") as tar:
            tar.add(path, arcname="val/ILSVRC2012_val_00000001.xml")
        path = archive
    assert plain(box_lists.read_annotations(path)) == {
        key: ([[111, 108, 441, 193], [1, 2, 30, 40]], "n01751748")
    }


@pytest.mark.parametrize("key", ["../../etc/a.jpg", "/etc/a.jpg", "a/../../b.jpg", "..\\..\\b.jpg"])
def test_names_that_leave_the_folder_are_refused(tmp_path, key):
    for line in (f"{key} 0 1 2 3 4", f"{key},1,2,3,4"):
        path = write(tmp_path / "list.txt", f"n01/a.jpg{line[len(key) :]}\n{line}\n")
        with pytest.raises(ValueError, match=r"list\.txt:2: .*leaves the image folder"):
            box_lists.read_annotations(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/b.jpg 0 1 2 3 4\na/c.jpg 0 1 2 3\n", r"list:2: expected `class/file label x0 y0 x1 y1"),
        (
            "a/b.jpg 0 9 2 3 4\n",
            r"list:1: expected x0 <= x1 and y0 <= y1, got \[\[9\.0, 2\.0, 3\.0, 4\.0\]\]",
        ),
        ("a/b.jpg,1,2,3,4\na/c.jpg,1,2,x,4\n", r"list:2: expected numbers, got '1 2 x 4'"),
        ("a/b.jpg,1,2,3,4\na/c.jpg 1 2\n", r"list:2: expected `path,x0,y0,x1,y1`"),
        ("ImageId,PredictionString\nname,n01 1 2 3\n", r"list:2: expected `name,wnid x0 y0 x1 y1"),
        ("\n\n", "contains no images"),
        ("a/b.jpg 0 1.2.3 2 3 4\n", r"list:1: expected numbers"),
    ],
)
def test_faults_name_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        box_lists.read_annotations(write(tmp_path / "list", text))
    assert "\n" not in str(caught.value)


def test_missing_and_binary_lists(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        box_lists.read_annotations(tmp_path / "none.txt")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not a text file"):
        box_lists.read_annotations(tmp_path / "picture.png")


@pytest.mark.parametrize(
    "content",
    [
        "<annotation><object></annotation>",
        "<annotation></annotation>",
        '<!DOCTYPE a [<!ENTITY b "c">]><annotation><filename>&b;</filename></annotation>',
        "<annotation><filename>a</filename><object><bndbox><xmin>1</xmin></bndbox></object></annotation>",
    ],
)
def test_xml_that_is_no_annotation(tmp_path, content):
    with pytest.raises(ValueError, match=r"a\.xml: not a Pascal VOC annotation"):
        box_lists.read_annotations(write(tmp_path / "a.xml", content))


def test_an_archive_never_writes_outside(tmp_path):
    """Members are read in memory, whatever path they claim."""
    archive = tmp_path / "box.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("../../escaped.xml")
        member.size = len(ILSVRC_XML)
        tar.addfile(member, io.BytesIO(ILSVRC_XML.encode()))
    box_lists.read_annotations(archive)
    assert [path.name for path in tmp_path.rglob("*")] == ["box.tar"]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}/[a-z0-9_]{1,8}\.jpg", fullmatch=True),
        st.lists(st.tuples(*[st.integers(0, 500)] * 4), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_lctr_and_wsoleval_spellings_agree(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("lists")
    boxes = {
        key: [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in drawn]
        for key, drawn in images.items()
    }
    lctr = [f"{key} 3 " + "\t".join(" ".join(map(str, box)) for box in value) for key, value in boxes.items()]
    wsoleval = [",".join(map(str, [key, *box])) for key, value in boxes.items() for box in value]
    for lines in (lctr, wsoleval):
        read = box_lists.read_boxes(write(folder / "list", "\n".join(lines)))
        assert {key: value.tolist() for key, value in read.items()} == boxes
        assert all(value.dtype == np.float32 for value in read.values())


@pytest.mark.skipif(not SHARED.exists(), reason="the official lists lie beside the repository")
def test_cub_convention_against_wsoleval():
    """wsoleval's far corners are CUB's x + w, y + h, cut to the last pixel."""
    cub = box_lists.read_boxes(SHARED / "cub_annotations")
    wsoleval = box_lists.read_boxes(SHARED / "wsoleval_cub_test" / "localization.txt")
    sizes = {}
    for line in (SHARED / "wsoleval_cub_test" / "image_sizes.txt").read_text().split():
        name, width, height = line.split(",")
        sizes[name] = np.array([0, 0, int(width) - 1, int(height) - 1], np.float32)
    assert len(cub) == 11_788
    assert len(wsoleval) == 5_794
    far = np.array([False, False, True, True])
    for name, boxes in wsoleval.items():
        np.testing.assert_array_equal(boxes, np.where(far, np.minimum(cub[name], sizes[name]), cub[name]))
    cut = sum((cub[name] != boxes).any() for name, boxes in wsoleval.items())
    assert cut == 36

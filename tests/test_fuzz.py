"""Any bytes, to whatever reads files of users: a result, or one line that says what is wrong."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzz.case import feed
from benchmarks.fuzz.cases import CASES
from lctr_jax.checkpoints import torch_files
from lctr_jax.checkpoints.conversion import convert
from lctr_jax.data import box_lists, image_decoding
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_sizes import read_image_sizes

EXAMPLES = 60
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def tried(read, *arguments, **options):
    """What `read` gives, or None after an error as users are to have them: one line, not empty."""
    try:
        return read(*arguments, **options)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    assert message.splitlines() == [message]
    return None


def damaged(sound: bytes):
    """The bytes with a few of them replaced, and some cut off or repeated."""

    def apply(changes, start, stop):
        content = bytearray(sound)
        for place, value in changes:
            content[place % len(content)] = value
        return bytes(content[:start] + content[stop:])

    place = st.integers(0, len(sound))
    changes = st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)
    return st.builds(apply, changes, place, place) | st.binary(max_size=200)


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_images(kind):
    @bounded
    @given(damaged(encoded(kind)))
    def check(content):
        image = tried(image_decoding.decode_rgb, content)
        if image is not None:
            assert image.mode == "RGB"
            tried(Geometry(image_size=32).transform_image, image)

    check()


NUMBERS = st.sampled_from(["0", "1", "-5", "7.5", "1e300", "nan", "-inf", "9" * 400, ".", "-", "٣", "x", ""])
NAMES = st.sampled_from(
    ["a/b.jpg", "../b.jpg", "/etc/passwd", "a\\..\\b", "n01440764", "", "a b", "\x00", "ü"]
)
WORDS = st.lists(NAMES | NUMBERS | st.text(max_size=4), max_size=12)
SEPARATORS = st.sampled_from([" ", ",", "\t", ", "])
LINES = st.builds(lambda words, separator: separator.join(words), WORDS, SEPARATORS)
LISTS = st.lists(LINES, max_size=5).map("\n".join)
HEADED = st.builds(str.__add__, st.sampled_from(["", "ImageId,PredictionString\n", "﻿", "<xml>"]), LISTS)
CONTENT = HEADED.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)


def sound_boxes(annotations):
    for name, annotation in (annotations or {}).items():
        boxes = annotation.boxes_xyxy
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        assert not Path(name).is_absolute()
        assert ".." not in Path(name).parts


@bounded
@given(CONTENT)
def test_box_lists(tmp_path, content):
    path = tmp_path / "val_boxes.txt"
    path.write_bytes(content)
    sound_boxes(tried(box_lists.read_annotations, path))
    tried(box_lists.read_class_labels, path)
    tried(read_image_sizes, path)


@bounded
@given(CONTENT, CONTENT)
def test_cubs_pair_of_files(tmp_path, names, boxes):
    (tmp_path / "images.txt").write_bytes(names)
    (tmp_path / "bounding_boxes.txt").write_bytes(boxes)
    sound_boxes(tried(box_lists.read_annotations, tmp_path))


XML = b"""<annotation><filename>n1_2</filename><object><name>n1</name><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"""


@bounded
@given(damaged(XML))
def test_ilsvrc_files(tmp_path, content):
    path = tmp_path / "n1_2.xml"
    path.write_bytes(content)
    sound_boxes(tried(box_lists.read_annotations, path))


def packed(kind: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
        member = tarfile.TarInfo("n1/n1_2.xml")
        member.size = len(XML)
        archive.addfile(member, io.BytesIO(XML))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz"])
def test_ilsvrc_archives(tmp_path, kind):
    @bounded
    @given(damaged(packed(kind)))
    def check(content):
        path = tmp_path / "boxes.tar"
        path.write_bytes(content)
        sound_boxes(tried(box_lists.read_annotations, path))

    check()


def vit(**changes) -> dict[str, np.ndarray]:
    shapes = {
        "cls_token": (1, 1, 8),
        "pos_embed": (1, 5, 8),
        "patch_embed.proj.weight": (8, 3, 2, 2),
        "patch_embed.proj.bias": (8,),
        "blocks.0.mlp.fc1.weight": (32, 8),
        "norm.weight": (8,),
    } | changes
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


@bounded
@given(damaged(safetensors.numpy.save(vit(), {"format": "pt", "lctr_jax": json.dumps({"kind": "network"})})))
def test_safetensors_files(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    if (file := tried(torch_files.read_tensors, path)) is not None:
        tried(convert, file, source="fuzz", heads=1)


@bounded
@given(
    st.dictionaries(
        st.sampled_from([*vit(), "dist_token", "CDM.weight", "conv3x3.bias", "reg_token", "blocks.9.x"])
        | st.from_regex(r"\Ablocks\.[0-9]{1,9}\.[a-z1]{1,4}\Z"),
        st.lists(st.integers(0, 5), max_size=5).map(tuple),
        max_size=6,
    ),
    st.sampled_from([None, 1, 3]),
)
def test_tensors_of_any_name_and_shape(changes, heads):
    tried(convert, torch_files.TensorFile(vit(**changes)), source="fuzz", heads=heads)


def pth() -> bytes:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"model": {name: torch.from_numpy(array) for name, array in vit().items()}}, file)
    return file.getvalue()


def test_pth_files(tmp_path):
    @bounded
    @given(damaged(pth()))
    def check(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        if (file := tried(torch_files.read_tensors, path)) is not None:
            tried(convert, file, source="fuzz", heads=1)

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reader}, {case.kind}")
def test_readers(case, tmp_path):
    """What `python -m benchmarks.fuzz` feeds by the thousand."""

    @bounded
    @given(case.inputs)
    def check(content):
        feed(case, tmp_path, content)

    check()

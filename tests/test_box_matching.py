"""Matching the names in a box list with the images of a folder that are spelled differently."""

import unicodedata

import numpy as np
import pytest

from lctr_jax.data.box_lists import Annotation
from lctr_jax.data.box_matching import match

IMAGES = ["cat/a.jpg", "cat/b.JPG", "dog/a.jpg", "dog/süß.png"]


def joined(*names, images=IMAGES, **spelled):
    """The name in the list that each image was matched with, and the unmatched names."""
    annotations = {name: Annotation(np.zeros((1, 4), np.float32)) for name in names}
    annotations |= {
        name: Annotation(np.zeros((1, 4), np.float32), spellings=s) for name, s in spelled.items()
    }
    found = match(annotations, images, split=("val",), other_splits=("train", "test"))
    names = {id(annotation): name for name, annotation in annotations.items()}
    return {image: names[id(annotation)] for image, annotation in found.by_image.items()}, found.unmatched


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("cat/a.jpg", "cat/a.jpg"),
        ("val/cat/a.jpg", "cat/a.jpg"),
        ("./cat/a.jpg", "cat/a.jpg"),
        ("data/photos/val/cat/a.jpg", "cat/a.jpg"),
        ("photos\\cat\\a.jpg", "cat/a.jpg"),
        ("Cat/B.jpg", "cat/b.JPG"),
        ("b.jpg", "cat/b.JPG"),
        ("b", "cat/b.JPG"),
        ("JPEGImages/b.jpg", "cat/b.JPG"),
        (unicodedata.normalize("NFD", "dog/süß.png"), "dog/süß.png"),
    ],
)
def test_spellings(name, image):
    assert joined(name) == ({image: name}, [])


@pytest.mark.parametrize("name", ["cow/b.jpg", "train/cat/a.jpg", "c.jpg", "cat/a.png", "cat/a"])
def test_names_of_other_images(name):
    others = ["cat/b.JPG"]  # a list of more than one folder: its folders are classes
    if name == "cat/a":
        assert joined(name) == ({"cat/a.jpg": name}, [])
    else:
        assert joined(name, *others) == ({"cat/b.JPG": "cat/b.JPG"}, [name])


@pytest.mark.parametrize("name", ["a.jpg", "a", "JPEGImages/a.jpg"])
def test_a_name_that_fits_several_images_is_refused(name):
    with pytest.raises(ValueError, match=r"matches 2 images, cat/a\.jpg, dog/a\.jpg; add their folders"):
        joined(name)


def test_two_names_of_one_image_are_refused():
    with pytest.raises(ValueError, match=r"cat/a\.jpg' and 'val/cat/a\.jpg' both match the image cat/a\.jpg"):
        joined("cat/a.jpg", "val/cat/a.jpg")


def test_case_alone_tells_two_images_apart():
    assert joined("cat/A.jpg", images=["cat/a.jpg", "cat/A.jpg"]) == ({"cat/A.jpg": "cat/A.jpg"}, [])
    with pytest.raises(ValueError, match="matches 2 images"):
        joined("cat/a.JPG", images=["cat/a.jpg", "cat/A.jpg"])


def test_other_spellings_are_tried_in_order_until_one_is_unique():
    assert joined(**{"a.jpg": ("dog/a.jpg", "a")}) == ({"dog/a.jpg": "a.jpg"}, [])
    with pytest.raises(ValueError, match=r"'a\.jpg' matches 2 images"):
        joined(**{"a.jpg": ("cow/a.jpg", "a")})
    assert joined(x=("dog/a.jpg", "cat/a.jpg")) == ({"dog/a.jpg": "x"}, [])
    assert joined(x=("cow/a.jpg", "b.jpg")) == ({"cat/b.JPG": "x"}, [])

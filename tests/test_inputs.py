"""A run is tied to its images and initial weights by their content, not by their location."""

import jax
import numpy as np
import pytest
from small_batches import make_split

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.checkpoints.transfer import weights_digest
from lctr_jax.data import contents
from lctr_jax.data.contents import describe_differences, read_contents
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.inputs import tie_to_inputs

SPEC = ModelSpec(num_classes=3, width=8, depth=1, heads=1, image_size=16, patch_size=8)


def changed(**fields):
    """Six records, the second with other fields."""
    records = make_split(6)
    records[1] |= fields
    return records


CHANGES = {
    "1 new: images/5.png": (make_split(5), make_split(6)),
    "1 missing: images/5.png": (make_split(6), make_split(5)),
    "1 with another label: images/1.png": (make_split(6), changed(label=2)),
    "1 with other content: images/1.png": (make_split(6), changed(image=b"another picture")),
    "1 new: b.png; 1 missing: images/1.png": (make_split(6), changed(id="b.png")),
    "5 new: images/1.png, images/2.png, images/3.png, ...": (make_split(1), make_split(6)),
    "the same images in another order": (make_split(6), make_split(6)[::-1]),
}


@pytest.mark.parametrize(("message", "splits"), CHANGES.items(), ids=CHANGES)
def test_a_run_whose_images_differ_is_refused_by_name(tmp_path, message, splits):
    before, now = splits
    started = tie_to_inputs(tmp_path, before, "", None)._asdict()
    with pytest.raises(ValueError, match="training images differ from those") as error:
        tie_to_inputs(tmp_path, now, "", started)
    assert f"({message})" in str(error.value)
    (tmp_path / "training_images.json").unlink()  # without the list they are refused, if not by name
    with pytest.raises(ValueError, match="training images differ from those"):
        tie_to_inputs(tmp_path, now, "", started)


def test_boxes_are_no_part_of_the_training_images(tmp_path):
    boxed = changed(boxes_xyxy=np.array([[1, 1, 5, 5], [2, 2, 9, 9]], np.float32))
    started = tie_to_inputs(tmp_path, make_split(6), "", None)._asdict()
    assert tie_to_inputs(tmp_path, boxed, "", started)._asdict() == started


def test_a_large_split_is_read_in_part(monkeypatch):
    monkeypatch.setattr(contents, "MAX_READ", 4)
    part = read_contents(make_split(10))
    assert part.num_images == 10
    assert list(part.images) == [f"images/{index}.png" for index in (0, 3, 6, 9)]
    assert describe_differences(read_contents(make_split(9)), part) == "10 images then, 9 now"


def test_initial_weights_may_move_and_must_be_the_same(tmp_path):
    parameters = jax.tree.map(np.asarray, initialize(SPEC, jax.random.key(0)))
    metadata = Metadata(kind="network", spec=SPEC)
    save_weights(tmp_path / "here", metadata, parameters)
    save_weights(tmp_path / "there", metadata, parameters)
    parameters["cdm"]["bias"] = parameters["cdm"]["bias"] + np.float32(1e-3)
    save_weights(tmp_path / "other", metadata, parameters)
    assert weights_digest(tmp_path / "here") == weights_digest(tmp_path / "there")
    started = tie_to_inputs(tmp_path, make_split(2), str(tmp_path / "here"), None)._asdict()
    tie_to_inputs(tmp_path, make_split(2), str(tmp_path / "there"), started)
    for other in (str(tmp_path / "other"), ""):
        with pytest.raises(
            ValueError, match=rf"^init_from: {other or 'nothing'} contains other weights than"
        ):
            tie_to_inputs(tmp_path, make_split(2), other, started)

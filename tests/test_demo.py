import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.data.geometry import Geometry
from lctr_jax.demo import main, read_image, write_examples
from lctr_jax.inference.images import read_upright
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import default_config
from lctr_jax.viewer.demo_page import PREDICTED_CLASS, TOP_FIVE, chosen_labels
from lctr_jax.viewer.panels import draw_panels, draw_table
from lctr_jax.viewer.reading import Reading

ROOT = Path(__file__).parents[1]
NAMES = ("cat", "dog", "<b>owl</b>", "naïve", "wren", "fox")
SPEC = ModelSpec(
    num_classes=6, width=16, depth=1, heads=2, image_size=32, patch_size=8, initialization="fan_in"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoints" / "1"
    parameters = initialize(SPEC, jax.random.key(0))
    save_weights(path, Metadata(kind="network", spec=SPEC, class_names=NAMES), parameters)
    return path


def photo(seed=0, size=(90, 60)):
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size))


def hot_corner(names=NAMES):
    """A reading of a 40 x 20 image: class 1's map is hot in the upper left quarter, class 2's is flat."""
    maps = np.zeros((6, 4, 4), np.float32)
    maps[1, :2, :2] = 1
    return Reading(
        photo=np.zeros((20, 40, 3), np.uint8),
        width=40,
        height=20,
        geometry=Geometry("wsoleval", 32),
        class_names=names,
        probability=np.array([0.1, 0.4, 0.3, 0.1, 0.06, 0.04], np.float32),
        relation_map=np.ones((4, 4), np.float32),
        class_maps=maps,
        localization_maps=maps,
    )


@pytest.mark.parametrize("geometry", ["wsoleval", "lctr"])
def test_boxes_of_every_class_and_threshold_are_those_of_predict(checkpoint, geometry):
    model, frame = load(checkpoint), Geometry(geometry, 32)
    reading = read_image(model, photo(), geometry=frame, class_names=NAMES)
    different = set()
    for threshold in map(Threshold, (0.1, 0.3, 0.7)):
        localizer = Localizer(model, geometry=frame, threshold=threshold, classes=NAMES, batch_size=1)
        (prediction,) = localizer([photo()])
        assert reading.ranking[:5] == [ranked.label for ranked in prediction.top]
        np.testing.assert_allclose(reading.region_xyxy, prediction.region_xyxy)
        for label, boxed in enumerate(prediction.boxed):
            np.testing.assert_allclose(reading.box_xyxy(label, threshold), boxed.box_xyxy)
            assert reading.probability[label] == pytest.approx(boxed.ranked.probability, rel=1e-5)
            different.add(tuple(boxed.box_xyxy))
    assert len(different) > 5


def test_the_box_and_what_is_above_the_threshold_are_where_the_map_is_hot():
    reading = hot_corner()
    np.testing.assert_allclose(reading.box_xyxy(1, Threshold(0.5)), [0, 0, 20, 10], atol=1)
    assert reading.foreground(1, Threshold(0.5)).mean() == pytest.approx(0.25, abs=0.03)
    assert reading.foreground(1, Threshold(0.9)).mean() < reading.foreground(1, Threshold(0.1)).mean()
    assert reading.found(1)
    assert not reading.found(2)


def test_choices_name_classes():
    reading = hot_corner()
    assert chosen_labels(reading, PREDICTED_CLASS) == [1]
    assert chosen_labels(reading, TOP_FIVE) == [1, 2, 0, 3, 4]
    assert chosen_labels(reading, 5) == [5]


def test_a_flat_map_is_said_to_be_flat_and_names_are_escaped():
    reading = hot_corner()
    panels, table = (draw(reading, [2], Threshold(0.3)) for draw in (draw_panels, draw_table))
    assert "is flat: there is nothing to box" in panels
    assert 'class="lctr-box' not in panels
    assert "none: the map is flat" in table
    assert "<b>owl" not in panels + table
    assert "&lt;b&gt;owl" in panels
    assert draw_panels(reading, [1, 2], Threshold(0.3)).count('class="lctr-box') == 1


def write_config(run, **data):
    config: Any = default_config()
    config.data.update(data)
    (run / "config.json").write_text(config.to_json())


def test_examples_come_from_the_run_s_data_set(checkpoint, tmp_path, capsys):
    run = checkpoint.parents[1]
    assert write_examples(str(checkpoint), tmp_path, data_dir=None) == []
    write_config(run, name="cub", data_dir=str(tmp_path / "nothing"))
    assert write_examples(str(checkpoint), tmp_path, data_dir=None) == []
    assert capsys.readouterr().err.startswith("no examples: cub is not prepared")
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        for split in ("train", "val"):
            path = tmp_path / "images" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo(len(name))).save(path)
    write_config(run, name="folder", root=str(tmp_path / "images"))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"eval": config["eval"] | {"split": "val"}}))
    examples = write_examples(str(checkpoint), tmp_path, data_dir=str(tmp_path / "data"))
    assert [path.stem.split("_")[1] for path in examples] == ["0", "0", "1"]
    assert all(read_upright(path).shape == (60, 90, 3) for path in examples)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[]", "got a JSON array, expected an object"),
        ("{}", "expected the options of a run"),
        ({"data": [], "eval": {"split": "val"}}, "expected the options of a run"),
        ({"data": {}, "eval": {"split": 3}}, "expected the options of a run"),
        ({"data": {"nmae": "cub"}, "eval": {"split": "val"}}, "expected the options of a run"),
        ({"data": {"name": 3}, "eval": {"split": "val"}}, "data.name: got 3"),
        ({"data": {"data_dir": None}, "eval": {"split": "val"}}, "data.data_dir: got None"),
        ({"data": {"boxes": "list"}, "eval": {"split": "val"}}, "data.boxes: got 'list'"),
        ({"data": {"boxes": {"val": 1}}, "eval": {"split": "val"}}, "data.boxes: got a JSON object"),
        ({"data": {"exif": "no"}, "eval": {"split": "val"}}, "data.exif: got 'no'"),
    ],
)  # fmt: skip
def test_a_config_that_no_run_wrote_is_one_line(checkpoint, tmp_path, capsys, config, reason):
    path = checkpoint.parents[1] / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    try:
        assert write_examples(str(checkpoint), tmp_path, data_dir=None) == []
    finally:
        path.unlink()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("no examples: ")
    assert reason in line


def test_without_gradio_it_says_how_to_get_it(checkpoint, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as exit_:
        main(["--checkpoint", str(checkpoint)])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: the demo needs gradio: pip install -e '.[demo]'"


# The command line itself in a process of its own, which tells what the network was asked.

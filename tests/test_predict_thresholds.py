"""The threshold of predictions: which one is used, what is said of it, and the page to choose one."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from test_predict import checkpoint, predict, write_image

from lctr_jax.checkpoints.checksums import write_checksums
from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.images import read_upright
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.threshold import DEFAULT, UNCALIBRATED, read_threshold, resolve_threshold
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.threshold_rules import mass_threshold
from lctr_jax.localization.thresholds import Threshold

__all__ = ["checkpoint"]  # a fixture


def test_the_threshold_is_that_of_the_run_s_own_evaluation(checkpoint, tmp_path):
    assert resolve_threshold(None, checkpoint) == resolve_threshold(None, None) == DEFAULT
    assert DEFAULT.source == UNCALIBRATED
    assert DEFAULT.tau is None
    run = tmp_path / "run"
    shutil.copytree(checkpoint, run / "checkpoints" / "7")
    write_checksums(run / "checkpoints" / "7")
    (run / "eval").mkdir()
    evaluated = {"threshold": 0.21, "threshold_source": "held-out (val)"}
    (run / "eval" / "metrics.json").write_text(json.dumps(evaluated))
    for path in (run, run / "checkpoints" / "7"):
        choice = resolve_threshold(None, load(path).folder)
        assert choice.describe() == "threshold 0.21: the run's evaluation, held-out (val)"
    given = resolve_threshold(0.5, run / "checkpoints" / "7")
    assert (given.rule, given.source) == (Threshold(0.5), "given")


def test_the_published_threshold_is_not_used_for_another_network(tmp_path):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps({"threshold": 0.09, "threshold_source": "fixed"}))  # the config's default
    choice = read_threshold(metrics)
    assert choice is not None
    assert choice.rule is DEFAULT.rule
    assert "its run was evaluated at 0.09, LCTR's published one for CUB" in choice.source
    metrics.write_text(json.dumps({"threshold": 0.3, "threshold_source": "fixed"}))
    choice = read_threshold(metrics)
    assert choice is not None
    assert choice.describe() == "threshold 0.3: the run's evaluation, fixed"


def test_without_a_threshold_each_image_has_its_own(checkpoint, tmp_path, capsys):
    for name in ("x.png", "y.png"):
        write_image(tmp_path / "images" / name, seed=len(name) + ord(name[0]))
    lines = predict(checkpoint, tmp_path / "out", tmp_path / "images")
    assert f"threshold of each map: {UNCALIBRATED}" in capsys.readouterr().err
    localizer = Localizer(
        load(checkpoint), geometry=Geometry("wsoleval", 32), threshold=DEFAULT.rule, batch_size=2
    )
    page = html.unescape((tmp_path / "out" / "index.html").read_text())
    for line in lines:
        (prediction,) = localizer([read_upright(Path(line["id"]))])
        levels = quantize_map(resize_map(prediction.localization_map, protocol=LCTR_PROTOCOL, image_size=32))
        expected = mass_threshold(levels, share=0.6).tau
        assert line["threshold"] == line["boxes"][0]["threshold"] == pytest.approx(expected, abs=1e-4)
        assert line["threshold_source"] == UNCALIBRATED
        assert f"above {expected:.3g} of its maximum" in page
    assert UNCALIBRATED in page


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"threshold": "0.2"}', '{"threshold": 2}', '{"threshold": 0.2}', '{"threshold": null}'],
)
def test_metrics_of_wrong_types_are_one_line(content, tmp_path):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json: .*(expected|not JSON)"):
        read_threshold(tmp_path / "metrics.json")


def test_boxes_that_localize_nothing_are_counted(checkpoint, tmp_path, capsys):
    write_image(tmp_path / "x.png")
    write_image(tmp_path / "y.png", seed=1)
    predict(checkpoint, tmp_path / "out", tmp_path / "x.png", tmp_path / "y.png", "--threshold", 0.0)
    assert "2 of 2 boxes cover more than 95 % of the image" in capsys.readouterr().err


def test_several_thresholds_side_by_side(checkpoint, tmp_path):
    for index in range(3):
        write_image(tmp_path / "images" / f"{index}.png", seed=index)
    predict(checkpoint, tmp_path / "out", tmp_path / "images", "--thresholds", "0,0.5,0.99")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thresholds.html"]
    page = (tmp_path / "out" / "thresholds.html").read_text()
    assert page.count("<img") == 3 * 4
    heads = re.findall(r'<th scope="col"><b>(.*?)</b><br><small>(\d) of 3 boxes', page)
    assert [name for name, _ in heads] == ["default (60 % of the sum)", "0", "0.5", "0.99"]
    assert (heads[1][1], heads[3][1]) == ("3", "0")


@pytest.mark.parametrize("text", ["0.1,x", "1", "-0.1"])
def test_thresholds_that_are_none_are_one_line(text, checkpoint, tmp_path, capsys):
    image = write_image(tmp_path / "x.png")
    predict(checkpoint, tmp_path / "out", image, f"--thresholds={text}", status=2)
    assert f"--thresholds: got '{text}', expected numbers in [0, 1)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

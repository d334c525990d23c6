"""What a run writes for monitoring: curves, map images, options with results, a trace."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import tensorboard_events as events
from small_run import draw_folder, train

from lctr_jax.training.profile_span import parse_span

pytestmark = pytest.mark.slow

EPOCH = 3  # steps


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw_folder(root)
    return root


@pytest.fixture(scope="module")
def workdir(data) -> Path:
    workdir = data / "run"
    train(
        data,
        workdir,
        "--config.eval.untrained_baseline=false",
        "--config.train.epochs=3",
        "--config.train.eval_every_epochs=1",
        "--config.train.ema_decay=0.9",
        "--config.log.images=4",
        "--profile=4-5",
    )
    return workdir


def test_every_validation_writes_its_metrics_and_one_sheet_of_the_same_images(workdir):
    curves = events.scalars(workdir / "tensorboard")
    validated = [EPOCH, 2 * EPOCH]  # the end has an evaluation of its own
    for name in ("eval/top1_cls", "eval/gt_known_loc_at_best_threshold", "eval/best_threshold"):
        assert [step for step, _ in curves[name]] == validated
    pictures = events.images(workdir / "tensorboard")["eval/maps"]
    assert [step for step, _ in pictures] == validated
    (_, first), (_, second) = pictures
    assert first.shape == second.shape == (28 + 2 * 188, 8 + 2 * 328, 3)
    plain = [sheet[48:208, 8:168].astype(int) for sheet in (first, second)]
    mapped = [sheet[48:208, 168:328].astype(int) for sheet in (first, second)]
    assert np.median(np.abs(plain[0] - plain[1])) == 0  # the same image, but for the predicted box
    assert (mapped[0] != mapped[1]).any()


def test_options_stand_beside_what_they_led_to(workdir):
    options, metrics = events.hparams(workdir / "tensorboard")
    config = json.loads((workdir / "config.json").read_text())
    result = json.loads((workdir / "eval/metrics.json").read_text())
    assert options["train.lr"] == config["train"]["lr"]
    assert options["data.name"] == "folder"
    assert options["train.ema_decay"] == 0.9
    assert {"result/gt_known_loc", "result/top1_cls"} <= metrics
    curves = events.scalars(workdir / "tensorboard")
    assert curves["result/gt_known_loc"] == [(0, pytest.approx(result["gt_known_loc"]))]


def test_a_trace_holds_the_steps_asked_for_and_no_other(workdir):
    for name in ("perfetto_trace.json.gz", "*.trace.json.gz"):
        (path,) = (workdir / "profile/plugins/profile").glob(f"*/{name}")
        found = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
        steps = [event["args"]["step_num"] for event in found if event.get("name") == "train"]
        assert steps == ["4", "5"]
        assert len(found) > 100  # the devices' work is there too


@pytest.mark.parametrize("text", ["5", "5-4", "0-3", "a-b", "1-2-3"])
def test_a_span_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=rf"train\.profile: got '{text}'"):
        parse_span(text)

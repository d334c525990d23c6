import gc
import itertools
import json

import numpy as np
import pytest
import tensorboard_events as events
from full_disk import full_disk

from lctr_jax.training.log import RunLog
from lctr_jax.training.training_config import LogOptions

OPTIONS = {"seed": 3, "train.lr": 5e-5, "data.name": "digits", "eval.first_box_only": True}
PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def report(workdir, **options):
    with RunLog(active=True) as log:
        log.open(workdir, LogOptions(**options), OPTIONS)
        log.write(5, {"train/loss": 0.5, "train/accuracy": 0.25})
        log.show(5, "eval/maps", PICTURE)
        log.write(10, {"train/loss": 0.125})
        log.conclude({"result/gt_known_loc": 82.5})


def test_json_lines_and_tensorboard_hold_what_was_written(tmp_path):
    report(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["train/loss"]) for line in lines] == [(5, 0.5), (10, 0.125)]

    written = events.scalars(tmp_path / "tensorboard")
    assert written["train/loss"] == [(5, 0.5), (10, 0.125)]
    assert written["train/accuracy"] == [(5, 0.25)]
    ((step, picture),) = events.images(tmp_path / "tensorboard")["eval/maps"]
    assert step == 5
    np.testing.assert_array_equal(picture, PICTURE)


def test_tensorboard_compares_runs_by_options_and_final_numbers(tmp_path):
    report(tmp_path)
    options, metrics = events.hparams(tmp_path / "tensorboard")
    assert options == OPTIONS
    assert metrics == {"result/gt_known_loc"} <= set(events.scalars(tmp_path / "tensorboard"))
    assert [path.name for path in tmp_path.rglob("events.*") if path.parent.name != "tensorboard"] == []


def test_tensorboard_itself_reads_it(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    report(tmp_path)
    read = accumulators.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(5, 0.5), (10, 0.125)]
    assert [(image.width, image.height) for image in read.Images("eval/maps")] == [(9, 6)]
    assert set(read.PluginTagToContent("hparams")) == {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }


def test_nothing_is_written_before_the_folder_is_the_runs_own(tmp_path, capsys):
    with RunLog(active=True) as log:
        log.say("hello")
        log.write(1, {"train/loss": 1.0})
        log.show(1, "eval/maps", PICTURE)
        log.conclude({})
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == "hello\n"


def test_other_hosts_say_and_write_nothing(tmp_path, capsys):
    with RunLog(active=False) as log:
        log.open(tmp_path, LogOptions(), OPTIONS)
        log.write(1, {"train/loss": 1.0})
        log.say("hello")
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def write_without_end(workdir, values):
    with full_disk(), RunLog(active=True) as log:
        log.open(workdir, LogOptions(), {})
        for step in itertools.count():
            log.write(step, values)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # one that could not be flushed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that cannot be closed
@pytest.mark.parametrize(("first_full", "num_values"), [("metrics.jsonl", 1), ("tensorboard", 40)])
def test_a_disk_that_fills_up_ends_the_run_in_one_line(tmp_path, first_full, num_values):
    """Writers report failures: none runs in a thread that fails silently."""
    message = f"^{tmp_path / first_full} could not be written: File too large; free disk space.*$"
    with pytest.raises(OSError, match=message):
        write_without_end(tmp_path, {f"train/{number}": 0.5 for number in range(num_values)})
    gc.collect()  # here and not in another test


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_named(package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=f"log.{package}: .* [trackers]"):
        LogOptions(**{package: True})


def test_a_negative_number_of_images_is_refused():
    with pytest.raises(ValueError, match=r"log\.images: got -1"):
        LogOptions(images=-1)

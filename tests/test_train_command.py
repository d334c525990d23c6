"""train.py from a user's view: a small image folder, real files, stopping and resuming."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image
from small_run import draw_folder, train

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.training.log import RunLog


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw_folder(root)
    return root


@pytest.fixture
def run(tmp_path, folder):
    """Run train.py on the folder, in its own working directory."""

    def run_command(*arguments: str, root: Path = folder) -> Path:
        train(root, tmp_path / "run", *arguments)
        return tmp_path / "run"

    return run_command


def weights(path: Path) -> dict[str, Any]:
    return dict(flatten_dict(load_weights(path)[1], sep="."))


@pytest.mark.slow
@pytest.mark.optimized
def test_trains_evaluates_draws_and_resumes_bit_for_bit(run, folder, tmp_path, capsys):
    workdir = run()
    metrics = json.loads((workdir / "eval/metrics.json").read_text())
    assert metrics["num_images"] == 10
    assert metrics["protocol"] == "lctr"
    assert metrics["threshold_source"] == "fixed"
    assert {"full_image", "centered_box", "untrained"} <= set(metrics["baselines"])
    predictions = [json.loads(line) for line in (workdir / "eval/predictions.jsonl").read_text().splitlines()]
    assert [line["id"] for line in predictions] == sorted(line["id"] for line in predictions)
    correct = np.mean([line["iou"] >= 0.5 for line in predictions])
    assert metrics["gt_known_loc"] == pytest.approx(100 * correct)
    with Image.open(workdir / "eval/sheet.png") as sheet:
        assert sheet.width > 300
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == [1, 2, 3, 4, 5, 6]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert list((workdir / "tensorboard").iterdir())

    uninterrupted = weights(workdir)
    shutil.rmtree(workdir / "checkpoints/6")
    capsys.readouterr()
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "list/val_boxes.txt").rename(tmp_path / "boxes.txt")
    run(f"--config.data.boxes.val={tmp_path / 'boxes.txt'}", root=moved)
    assert "resuming at step 3" in capsys.readouterr().err
    for path, array in weights(workdir).items():
        np.testing.assert_array_equal(array, uninterrupted[path], err_msg=path)

    first = (workdir / "eval/metrics.json").read_bytes()
    shutil.rmtree(workdir / "eval")
    run("--eval", f"--checkpoint={workdir}")
    assert (workdir / "eval/metrics.json").read_bytes() == first


@pytest.mark.slow
def test_an_average_of_the_weights_is_what_is_kept_and_evaluated(run):
    workdir = run(
        "--config.train.ema_decay=0.5", "--config.train.lr=1e-2", "--config.train.schedule=per_step"
    )
    averaged = weights(workdir)
    shutil.rmtree(workdir / "checkpoints/6")
    run("--config.train.ema_decay=0.5", "--config.train.lr=1e-2", "--config.train.schedule=per_step")
    for path, array in weights(workdir).items():
        np.testing.assert_array_equal(array, averaged[path], err_msg=path)


def test_starts_from_another_run(run, tmp_path, capsys):
    first = run("--config.train.epochs=1").rename(tmp_path / "first")
    capsys.readouterr()
    run(f"--config.init_from={first}", "--config.train.epochs=1", "--config.train.lr=0")
    assert "initialized from" in capsys.readouterr().err
    baselines = json.loads((tmp_path / "run/eval/metrics.json").read_text())["baselines"]
    assert "before_training" in baselines


def test_a_data_set_without_boxes_is_classified_only(run, tmp_path, folder):
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("list"))
    metrics = json.loads((run("--config.train.epochs=1", root=bare) / "eval/metrics.json").read_text())
    assert "top1_cls" in metrics
    assert "gt_known_loc" not in metrics
    assert "baselines" not in metrics


@pytest.fixture
def stopped(run, monkeypatch):
    """Run the command until its log says a text, then send it a signal; returns its exit status."""

    def handlers():
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before = handlers()

    def run_stopped(number: int, text: str, *arguments: str) -> object:
        said = RunLog.say

        def say(self, line):
            said(self, line)
            if text in line:
                os.kill(os.getpid(), number)

        with monkeypatch.context() as patch:
            patch.setattr(RunLog, "say", say)
            with pytest.raises(SystemExit) as stop:
                run(*arguments)
        assert handlers() == before
        return stop.value.code

    return run_stopped


@pytest.mark.slow
def test_a_stopped_run_goes_on_exactly(run, stopped, tmp_path, capsys):
    options = (
        "--config.train.epochs=3",
        "--config.train.eval_every_epochs=1",
        "--config.train.keep_best=eval/top1_cls",
        "--config.train.schedule=per_step",
    )
    peace = run(*options).rename(tmp_path / "peace")
    assert stopped(signal.SIGTERM, "step 3: evaluating", *options) == 128 + signal.SIGTERM
    assert (tmp_path / "run/checkpoints/3").is_dir()
    capsys.readouterr()
    assert stopped(signal.SIGINT, "step 4/9", *options) == 128 + signal.SIGINT
    printed = capsys.readouterr().err
    assert (
        printed.index("resuming at step 3") < printed.index("step 3: evaluating") < printed.index("step 4/9")
    )
    assert "SIGINT: stopping" in printed
    assert (
        stopped(signal.SIGTERM, "evaluating on", *options) == 128 + signal.SIGTERM
    )  # the last, after training
    resumed = run(*options)
    best = [[path.name for path in (each / "checkpoints/best").iterdir()] for each in (peace, resumed)]
    assert best[0] == best[1]
    lines = [json.loads(line) for line in (peace / "metrics.jsonl").read_text().splitlines()]
    validation = {line["step"]: line["eval/top1_cls"] for line in lines if "eval/top1_cls" in line}
    assert list(validation) == [3, 6, 9]  # the end, too
    assert best[0] == [str(max(validation, key=validation.__getitem__))]
    for name in ("checkpoints/9", f"checkpoints/best/{best[0][0]}"):
        for path, array in weights(peace / name).items():
            np.testing.assert_array_equal(array, weights(resumed / name)[path], err_msg=path)
    for name in ("eval/metrics.json", "eval/predictions.jsonl"):
        assert (peace / name).read_bytes() == (resumed / name).read_bytes()

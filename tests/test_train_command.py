"""train.py as its users meet it: a small folder of pictures, real files, every mistake one line."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.command import main
from lctr_jax.training.log import RunLog
from lctr_jax.workdir import claim

ROOT = Path(__file__).parents[1]
SIDE = 40
SMALL = [
    "--config.model.name=deit_tiny",
    "--config.model.image_size=32",
    "--config.model.patch_size=8",
    "--config.model.width=16",
    "--config.model.depth=2",
    "--config.model.heads=2",
    "--config.train.epochs=2",
    "--config.train.batch_size=8",
    "--config.train.log_every_steps=1",
    "--config.train.checkpoint_every_epochs=1",
    "--config.train.keep_checkpoints=9",
    "--config.eval.batch_size=8",
    "--config.eval.sheet_images=3",
]


def draw_folder(root: Path) -> None:
    """Bright squares (class `square`) or bars (class `bar`) on noise, with their boxes listed."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        lines = []
        for label, (name, (width, height)) in enumerate({"bar": (24, 6), "square": (12, 12)}.items()):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 80, (SIDE, SIDE, 3)).astype(np.uint8)
                x, y = rng.integers(0, SIDE - width), rng.integers(0, SIDE - height)
                pixels[y : y + height, x : x + width] = 230
                Image.fromarray(pixels).save(folder / f"{number}.png")
                lines.append(f"{name}/{number}.png {label} {x} {y} {x + width} {y + height}")
        (root / "list").mkdir(exist_ok=True)
        (root / "list" / f"{split}_boxes.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw_folder(root)
    return root


@pytest.fixture
def run(monkeypatch, tmp_path, folder):
    """Run train.py on the folder, in its own working directory."""

    def run_command(*arguments: str, config: str = "folder", root: Path = folder) -> Path:
        workdir = tmp_path / "run"
        data = [f"--config.data.root={root}", f"--config.data.data_dir={tmp_path / 'data'}"]
        command = ["train.py", "--config", str(ROOT / f"configs/{config}.py"), f"--workdir={workdir}"]
        monkeypatch.setattr(sys, "argv", [*command, *data, *SMALL, *arguments])
        main()
        return workdir

    return run_command


@pytest.fixture
def refused(run, capsys):
    """Run a command that must fail with one line and exit status 2, and return the line."""

    def run_refused(*arguments: str, **options) -> str:
        with pytest.raises(SystemExit) as stop:
            run(*arguments, **options)
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert stop.value.code == 2
        assert len(error) == 1
        return error[0]

    return run_refused


def weights(path: Path) -> dict[str, np.ndarray]:
    return flatten_dict(load_weights(path)[1], sep=".")


def test_trains_evaluates_draws_and_resumes_bit_for_bit(run, capsys):
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
    assert list((workdir / "tensorboard").iterdir())

    uninterrupted = weights(workdir)
    shutil.rmtree(workdir / "checkpoints/6")
    capsys.readouterr()
    run()
    assert "resuming at step 3" in capsys.readouterr().err
    for path, array in weights(workdir).items():
        np.testing.assert_array_equal(array, uninterrupted[path], err_msg=path)

    first = (workdir / "eval/metrics.json").read_bytes()
    shutil.rmtree(workdir / "eval")
    run("--eval", f"--checkpoint={workdir}")
    assert (workdir / "eval/metrics.json").read_bytes() == first


def test_a_folder_with_a_run_of_another_config_is_refused(run, refused, tmp_path):
    started = json.loads((run("--config.train.epochs=1") / "config.json").read_text())
    assert started["train"]["epochs"] == 1
    (tmp_path / "run/config.json").unlink()  # what counts is written in the checkpoint
    line = refused("--config.train.epochs=1", "--config.train.lr=1")
    assert "train.lr was 0.008, is 1.0" in line
    run(
        "--config.train.epochs=1", "--config.eval.threshold=0.2"
    )  # what training does not depend on may change


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
    assert "initialised from" in capsys.readouterr().err
    baselines = json.loads((tmp_path / "run/eval/metrics.json").read_text())["baselines"]
    assert "before_training" in baselines


def test_a_data_set_without_boxes_is_classified_only(run, tmp_path, folder):
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("list"))
    metrics = json.loads((run("--config.train.epochs=1", root=bare) / "eval/metrics.json").read_text())
    assert "top1_cls" in metrics
    assert "gt_known_loc" not in metrics
    assert "baselines" not in metrics


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.train.batch_sise=8"], "batch_size"),
        (["--config.trian.batch_size=8"], "train"),
        (["--config.train.batch_size=many"], "batch_size"),
        (["--config.train.batch_size=12"], "train.batch_size: got 12, expected a multiple of 8"),
        (["--config.train.batch_size=800"], "800"),
        (["--config.eval.batch_size=0"], "eval.batch_size: got 0"),
        (["--config.eval.sheet_images=-1"], "eval.sheet_images: got -1"),
        (["--config.data.on_corrupt=ignore"], "data.on_corrupt: got 'ignore'"),
        (["--config.data.num_workers=-1"], "data.num_workers: got -1"),
        (["--config.train.eval_every_epochs=-1"], "train.eval_every_epochs: got -1"),
        (["--config.train.epochs=0"], "train.epochs: got 0"),
        (["--config.train.schedule=cosine"], "train.schedule: got 'cosine'"),
        (["--config.model.name=deit_smal"], "did you mean 'deit_small'"),
        (["--config.model.image_size=33"], "model.image_size: got 33"),
        (["--config.model.num_classes=1"], "model.num_classes: got 1, expected at least 2"),
        (["--config.eval.threshold=1.5"], "threshold: got 1.5"),
        (["--config.init_from=nowhere"], "nowhere"),
        (["--eval", "--checkpoint=nowhere"], "nowhere"),
        (["--eval"], "--checkpoint"),
        (["--config.train.keep_best=eval/top1_cls"], "set train.eval_every_epochs"),
        (
            ["--config.train.keep_best=eval/top1_cls", "--config.train.eval_every_epochs=2"],
            "set train.eval_every_epochs below train.epochs, got 2 and 2",
        ),
        (
            ["--config.train.keep_best=eval/top1", "--config.train.eval_every_epochs=1"],
            "train.keep_best: got 'eval/top1', expected eval/top1_cls or eval/gt_known_loc_at_best_threshold",
        ),
        (["--wrokdir=x"], "workdir"),
        (["surplus"], "surplus"),
    ],
)
def test_a_mistake_is_one_line(refused, arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize("option", ["eval.split", "eval.threshold_split"])
def test_splits_of_the_final_evaluation_are_opened_before_training(refused, option, tmp_path):
    assert "tset" in refused(f"--config.{option}=tset")
    assert not (tmp_path / "run/metrics.jsonl").exists()


def test_a_split_without_boxes_gives_no_threshold(refused, folder, tmp_path):
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("list"))
    line = refused("--config.eval.threshold_split=train", root=bare)
    assert "eval.threshold_split: 'train' has no boxes" in line
    assert not (tmp_path / "run/metrics.jsonl").exists()


def test_a_config_that_is_not_there_is_named_with_its_neighbours(refused):
    line = refused(config="folders")
    assert "folders.py" in line
    assert "digits.py" in line


def test_a_checkpoint_of_another_size_is_refused(run, refused, tmp_path):
    other = run("--config.train.epochs=1").rename(tmp_path / "other")
    line = refused("--eval", f"--checkpoint={other}", "--config.model.width=32")
    assert "width" in line
    assert "16" in line
    line = refused(f"--config.init_from={other}", "--config.model.width=32")
    assert "width" in line


def test_a_missing_folder_is_named(refused, tmp_path):
    assert "no_such_place" in refused(root=tmp_path / "no_such_place")


def test_an_empty_class_folder_is_named(refused, folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "train" / "circle").mkdir()
    assert "circle" in refused(root=broken)


def test_a_corrupt_image_is_named(refused, folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "train" / "bar" / "3.png").write_bytes(b"this is no picture")
    assert "3.png" in refused(root=broken)


def test_a_diverged_loss_ends_the_run_with_its_step(refused, tmp_path):
    line = refused(
        "--config.train.lr=1e30", "--config.train.warmup_epochs=0", "--config.train.schedule=per_step"
    )
    assert "loss: got" in line
    assert "step" in line
    assert ".png" in line
    assert "last good checkpoint: " in line


@pytest.mark.parametrize(
    "arguments",
    [["--config.init_from=nowhere"], ["--eval", "--checkpoint=nowhere"], ["--config.init_from=HERE"]],
)
def test_a_checkpoint_is_read_before_the_data_is_prepared(refused, tmp_path, arguments):
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    line = refused(*[each.replace("HERE", str(tmp_path / "damaged.pth")) for each in arguments])
    assert "nowhere" in line or "damaged.pth" in line
    assert not (tmp_path / "data").exists()


def test_a_folder_in_use_and_a_file_are_refused(refused, tmp_path):
    with claim(tmp_path / "run", active=True):
        assert f"in use by process {os.getpid()}" in refused()
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").write_text("a file")
    assert "is a file, expected a folder" in refused()


@pytest.fixture
def stopped(run, monkeypatch):
    """Run the command until its log says a text, then send it a signal; returns its exit status."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run_stopped(number: int, text: str, *arguments: str) -> int:
        said = RunLog.say

        def say(self, line):
            said(self, line)
            if text in line:
                os.kill(os.getpid(), number)

        with monkeypatch.context() as patch:
            patch.setattr(RunLog, "say", say)
            with pytest.raises(SystemExit) as stop:
                run(*arguments)
        return stop.value.code

    yield run_stopped
    for number, handler in handlers.items():
        signal.signal(number, handler)


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
    for name in ("checkpoints/9", f"checkpoints/best/{best[0][0]}"):
        for path, array in weights(peace / name).items():
            np.testing.assert_array_equal(array, weights(resumed / name)[path], err_msg=path)
    for name in ("eval/metrics.json", "eval/predictions.jsonl"):
        assert (peace / name).read_bytes() == (resumed / name).read_bytes()

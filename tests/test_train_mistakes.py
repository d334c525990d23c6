"""User errors in train.py: one line that names the input, exit status 2, and no damage."""

import json
import os
import shutil
from pathlib import Path

import pytest
from small_run import draw_folder, train

from lctr_jax.run.workdir import lock_workdir


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw_folder(root)
    return root


@pytest.fixture
def refused(tmp_path, folder, capsys):
    """Run a command that must fail with one line and exit status 2, and return the line."""

    def run_refused(*arguments: str, config: str = "folder", root: Path = folder) -> str:
        with pytest.raises(SystemExit) as stop:
            train(root, tmp_path / "run", *arguments, config=config)
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert stop.value.code == 2
        assert len(error) == 1
        return error[0]

    return run_refused


def test_a_folder_with_a_run_of_another_config_is_refused(refused, folder, tmp_path):
    train(folder, tmp_path / "run", "--config.train.epochs=1")
    started = json.loads((tmp_path / "run/config.json").read_text())
    assert started["train"]["epochs"] == 1
    (tmp_path / "run/config.json").unlink()  # what counts is written in the checkpoint
    line = refused("--config.train.epochs=1", "--config.train.lr=1")
    assert "train.lr was 0.008, is 1.0" in line
    other = shutil.copytree(folder, tmp_path / "other")
    shutil.copy(other / "train/bar/0.png", other / "train/bar/new.png")
    (other / "train/square/3.png").unlink()
    line = refused("--config.train.epochs=1", root=other)
    assert "the training images differ from those that its run was started with" in line
    assert "(1 new: bar/new.png; 1 missing: square/3.png)" in line
    # What training does not depend on may change.
    train(folder, tmp_path / "run", "--config.train.epochs=1", "--config.eval.threshold=0.2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.train.batch_sise=8"], "batch_size"),
        (["--flagfile=nowhere"], "Unable to open flagfile"),
        (
            ["--config.augmentation.crop_scale=('a',1)"],
            "augmentation.crop_scale: got ('a', 1), expected 2 numbers",
        ),
        (["--config.augmentation.crop_ratio=(1,)"], "augmentation.crop_ratio: got (1,), expected 2 numbers"),
        (["--config.trian.batch_size=8"], "train"),
        (["--config.train.batch_size=many"], "batch_size"),
        (["--config.train.batch_size=12"], "train.batch_size: got 12, expected a multiple of 8"),
        (["--config.train.batch_size=800"], "800"),
        (["--config.eval.batch_size=0"], "eval.batch_size: got 0"),
        (["--config.eval.sheet_images=-1"], "eval.sheet_images: got -1"),
        (
            ["--config.eval.image_size=33"],
            "eval.image_size: got 33, expected a multiple of model.patch_size = 8",
        ),
        (["--config.augmentation.image_size=33"], "augmentation.image_size: got 33"),
        (
            ["--config.augmentation.resize=8"],
            "augmentation.resize: got 8, expected 0, or at least the 32 pixels",
        ),
        (["--config.train.freeze=head"], "train.freeze: got 'head'"),
        (["--config.train.layer_decay=0"], "train.layer_decay: got 0"),
        (["--config.model.alpha=-1"], "model.alpha: got -1"),
        (["--config.model.cls_dropout=1.0"], "model.cls_dropout: got 1.0"),
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
        (["--config.model.alfa=3"], "command line: no such option: alfa; train.py --help lists them"),
        (["--config.train.keep_best=eval/top1_cls"], "set train.eval_every_epochs"),
        (["--config.train.keep_best_class_head=eval/top1_cls"], "set train.keep_best"),
        (
            [
                "--config.train.keep_best=eval/top1_cls",
                "--config.train.keep_best_class_head=eval/top1_cls",
                "--config.train.eval_every_epochs=1",
            ],
            "expected a method with a frozen backbone and a separate class head, such as trilite",
        ),
        (["--config.train.patience=3"], "train.patience: got 3, which needs a metric"),
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


def test_a_config_that_is_not_there_is_named_with_its_neighbors(refused):
    line = refused(config="folders")
    assert "folders.py" in line
    assert "digits.py" in line


def test_a_checkpoint_of_another_size_is_refused(refused, folder, tmp_path):
    other = tmp_path / "other"
    train(folder, other, "--config.train.epochs=1")
    line = refused("--eval", f"--checkpoint={other}", "--config.model.width=32")
    assert "width" in line
    assert "16" in line
    line = refused(f"--config.init_from={other}", "--config.model.width=32")
    assert "width" in line


def test_a_missing_folder_is_named_and_nothing_is_left_behind(refused, tmp_path):
    assert "no_such_place" in refused(root=tmp_path / "no_such_place")
    assert not list(tmp_path.iterdir())


def test_the_home_folder_may_be_written_as_a_tilde(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    shutil.copytree(folder, tmp_path / "pictures")
    shutil.move(tmp_path / "pictures/list", tmp_path / "lists")
    with pytest.raises(SystemExit) as stop:
        train(
            Path("~/pictures"),
            Path("~/run"),
            "--config.data.boxes.val=~/lists/val_boxes.txt",
            "--config.init_from=~/weights",
        )
    assert stop.value.code == 2  # the weights are none; everything before them was found
    assert not (Path.cwd() / "~").exists()


def test_a_home_folder_that_is_not_known_is_one_line(refused):
    assert "~nobody_of_that_name/x: the home folder" in refused("--config.init_from=~nobody_of_that_name/x")


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
    with lock_workdir(tmp_path / "run", active=True):
        assert f"in use by process {os.getpid()}" in refused()
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").write_text("a file")
    assert "is a file, expected a folder" in refused()

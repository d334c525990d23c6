"""Classes of a checkpoint and of a data set, by name."""

import dataclasses
import json
import shutil

import pytest
from small_run import draw_folder, train

from lctr_jax.checkpoints.store import load_weights, save_weights
from lctr_jax.data.class_names import ClassMismatchError, match_class_names
from lctr_jax.data.datasets import Split

OPTIONS = ("--config.train.epochs=1", "--config.eval.untrained_baseline=False")


def split_of(*class_names):
    records = [{"image": b"", "id": b"x", "label": label} for label in range(len(class_names))]
    return Split("test", list(class_names), has_boxes=False, has_masks=False, source=records)


def test_labels_follow_the_names():
    split = match_class_names(split_of("ant", "bee", "cat"), ("cat", "ant", "bee"))
    assert split.class_names == ["cat", "ant", "bee"]
    assert [split[index]["label"] for index in range(3)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("data", "checkpoint", "says"),
    [
        (("ant", "dog"), ("ant", "bee"), "the checkpoint lacks 'dog'; the data set lacks 'bee'"),
        (
            ("ant",),
            ("ant", "bee"),
            "the data set has 1, the checkpoint 2, and they differ: the data set lacks 'bee'",
        ),
        (("a", "b", "c", "d", "e"), ("e",), "the checkpoint lacks 'a', 'b', 'c' and 1 more"),
        (("ant", "crane", "crane"), ("crane", "ant", "crane"), "repeated names"),
    ],
)
def test_other_classes_are_refused_with_the_difference(data, checkpoint, says):
    with pytest.raises(ClassMismatchError) as error:
        match_class_names(split_of(*data), checkpoint)
    assert says in str(error.value)


def test_some_of_the_classes_are_matched_where_that_is_asked_for():
    split = match_class_names(split_of("cat", "ant"), ("ant", "bee", "cat"), subset=True)
    assert [split[index]["label"] for index in range(2)] == [2, 0]
    assert match_class_names(split_of("a", "a"), ("a", "a"))[1]["label"] == 1  # the same list


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Pictures, and a run trained on them."""
    base = tmp_path_factory.mktemp("classes")
    draw_folder(base / "pictures")
    train(base / "pictures", base / "run", *OPTIONS)
    return base / "pictures", base / "run"


def evaluate(pictures, workdir, checkpoint, *options):
    train(pictures, workdir, "--eval", f"--checkpoint={checkpoint}", *OPTIONS, *options)
    return json.loads((workdir / "eval/metrics.json").read_text())


def refused(capsys, *arguments):
    with pytest.raises(SystemExit):
        evaluate(*arguments)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def rewritten(run, path, *, names, reverse):
    """The run's weights with other class names, the head's classes in reverse order if asked."""
    metadata, parameters = load_weights(run)
    if reverse:
        head = parameters["cdm"]
        flipped = {name: head[name][..., ::-1].copy() for name in ("kernels", "bias")}
        parameters = {**parameters, "cdm": head | flipped}
    save_weights(path, dataclasses.replace(metadata, class_names=names), parameters)
    return path


def test_a_checkpoint_in_another_order_is_matched_by_name(trained, tmp_path, capsys):
    pictures, run = trained
    swapped = rewritten(run, tmp_path / "swapped", names=("square", "bar"), reverse=True)
    metrics = evaluate(pictures, tmp_path / "evaluated", swapped)
    assert metrics == json.loads((run / "eval/metrics.json").read_text())
    assert "labels are matched by name" in capsys.readouterr().err
    rows = (tmp_path / "evaluated/eval/per_class.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["name", "square", "bar"]


def test_other_classes_end_the_evaluation_unless_the_user_knows_better(trained, tmp_path, capsys):
    pictures, run = trained
    other = rewritten(run, tmp_path / "other", names=("bar", "disc"), reverse=False)
    line = refused(capsys, pictures, tmp_path / "a", other)
    assert "the checkpoint lacks 'square'; the data set lacks 'disc'" in line
    assert "--config.eval.match_classes=index" in line
    by_index = evaluate(pictures, tmp_path / "b", other, "--config.eval.match_classes=index")
    assert by_index == json.loads((run / "eval/metrics.json").read_text())


def test_a_checkpoint_without_names_needs_the_users_word(trained, tmp_path, capsys):
    pictures, run = trained
    foreign = rewritten(run, tmp_path / "foreign", names=None, reverse=False)
    line = refused(capsys, pictures, tmp_path / "a", foreign)
    assert "has no class names" in line
    assert "--config.eval.match_classes=index" in line
    by_index = evaluate(pictures, tmp_path / "b", foreign, "--config.eval.match_classes=index")
    assert by_index["top1_cls"] == json.loads((run / "eval/metrics.json").read_text())["top1_cls"]


def test_some_classes_of_the_checkpoint_are_matched_when_asked_for(trained, tmp_path, capsys):
    pictures, run = trained
    fewer = shutil.copytree(pictures, tmp_path / "fewer")
    for split in ("train", "val"):
        shutil.rmtree(fewer / split / "bar")
    shutil.rmtree(fewer / "list")
    line = refused(capsys, fewer, tmp_path / "a", run)
    assert "the data set lacks 'bar'" in line
    assert "--config.model.num_classes=2" in line
    evaluate(fewer, tmp_path / "b", run, "--config.model.num_classes=2")
    predictions = (tmp_path / "b/eval/predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["label"] for line in predictions} == {1}

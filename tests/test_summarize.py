"""Summaries of several runs."""

import json

import pytest

from lctr_jax import summarize
from lctr_jax.run.seed_summary import read_metrics, summarize_runs


def write_run(folder, **metrics):
    facts = {"protocol": "lctr", "split": "test", "num_images": 10, "threshold_source": "held-out (val)"}
    (folder / "eval").mkdir(parents=True)
    (folder / "eval" / "metrics.json").write_text(json.dumps(facts | metrics))
    return str(folder)


def test_mean_and_sample_deviation(tmp_path, capsys):
    runs = [
        write_run(tmp_path / str(value), gt_known_loc=value, baselines={"untrained": {"gt_known_loc": 8.0}})
        for value in (60.0, 62.0, 67.0)
    ]
    summarize.main([*runs, "--json", str(tmp_path / "summary.json")])
    summary = json.loads((tmp_path / "summary.json").read_text())
    spread = summary["metrics"]["gt_known_loc"]
    assert spread["mean"] == 63
    assert spread["std"] == pytest.approx(13**0.5)
    assert spread["values"] == [60, 62, 67]
    assert summary["metrics"]["baseline untrained"]["mean"] == 8
    assert summary["protocol"] == "lctr"
    assert "63.00" in capsys.readouterr().out


def config(seed=0, **changes):
    """Options as a config has them; `group__option=value` changes one."""
    options = {
        "seed": seed,
        "init_from": "",
        "model": {"name": "deit_small", "method": "lctr"},
        "data": {"name": "cub", "num_workers": 0},
        "train": {"epochs": 80, "lr": 5e-5},
        "eval": {"threshold": 0.09, "batch_size": 64},
        "log": {"images": 8},
    }
    for name, value in changes.items():
        group, option = name.split("__")
        options[group] = {**options[group], option: value}
    return options


def write_seed(folder, options, *, training=None, checkpoint=None):
    path = write_run(folder, gt_known_loc=60.0)
    evaluated = {
        "training": options if checkpoint is None else training,
        "checkpoint": checkpoint,
        "evaluation": options,
    }
    (folder / "eval" / "config.json").write_text(json.dumps(evaluated))
    return path


def refused(capsys, *runs):
    with pytest.raises(SystemExit, match="2"):
        summarize.main([str(run) for run in runs])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    "change",
    [
        {"model__method": "cam"},
        {"model__name": "deit_base"},
        {"train__epochs": 40},
        {"data__name": "imagenet"},
        {"eval__threshold": 0.2},
    ],
)
def test_runs_that_are_not_seeds_of_one_config_are_refused(tmp_path, capsys, change):
    runs = [write_seed(tmp_path / "a", config(0)), write_seed(tmp_path / "b", config(1, **change))]
    error = refused(capsys, *runs)
    ((name, value),) = change.items()
    assert f"{name.replace('__', '.')} is " in error
    assert f" and {value!r}" in error
    assert error.count(" is ") == 1  # named once


def test_seeds_may_differ_in_what_changes_no_number(tmp_path):
    other = config(1, data__num_workers=4, log__images=0, eval__batch_size=32)
    summarize.main([write_seed(tmp_path / "a", config(0)), write_seed(tmp_path / "b", other)])


def test_the_same_run_twice_is_refused(tmp_path, capsys):
    run = write_seed(tmp_path / "a", config(0))
    assert "are the same run" in refused(capsys, run, f"{run}/../a")
    copy = write_seed(tmp_path / "copy", config(0))
    assert "have the same seed" in refused(capsys, run, copy)


def test_checkpoints_evaluated_alone_are_seeds_by_their_training(tmp_path, capsys):
    evaluations = [
        write_seed(tmp_path / str(seed), config(0), training=config(seed), checkpoint=f"runs/{seed}")
        for seed in range(2)
    ]
    summarize.main(evaluations)
    longer = write_seed(
        tmp_path / "longer", config(0), training=config(2, train__epochs=160), checkpoint="runs/2"
    )
    assert "train.epochs is 80 and 160" in refused(capsys, evaluations[0], longer)
    converted = [
        write_seed(tmp_path / name, config(0), checkpoint=name.strip("x")) for name in ("p", "q", "px")
    ]
    summarize.main(converted[:2])
    assert "are the same run" in refused(capsys, converted[0], converted[2])


def test_runs_without_a_config_are_said_to_be_unverified(tmp_path, capsys):
    summarize.main([write_run(tmp_path / "a", top1_cls=1.0), write_run(tmp_path / "b", top1_cls=2.0)])
    assert "not verified to be a seed" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[]", "{", '{"training": 3, "checkpoint": "", "evaluation": {}}', "{}"])
def test_a_config_that_is_none_is_named(tmp_path, capsys, content):
    run = write_run(tmp_path / "a", top1_cls=1.0)
    (tmp_path / "a" / "eval" / "config.json").write_text(content)
    assert "config.json: " in refused(capsys, run)


def test_baselines_of_masks_are_summarized(tmp_path):
    baselines = {"full_image": {"pxap": 20.0}, "untrained": {"gt_known_loc": 1.0, "pxap": 3.0}}
    metrics = read_metrics(tmp_path / write_run(tmp_path / "a", pxap=50.0, baselines=baselines))
    rows = summarize_runs({"a": metrics})["metrics"]
    assert rows["baseline full_image pxap"]["mean"] == 20
    assert rows["baseline untrained"]["mean"] == 1
    assert rows["baseline untrained pxap"]["mean"] == 3


def test_one_run_has_no_deviation(tmp_path):
    metrics = read_metrics(tmp_path / write_run(tmp_path / "a", top1_cls=90.0))
    assert summarize_runs({"a": metrics})["metrics"]["top1_cls"]["std"] is None


def test_a_metric_that_not_all_runs_have_is_left_out(tmp_path):
    runs = {
        "a": {"protocol": "lctr", "pxap": 50.0, "top1_cls": 1.0},
        "b": {"protocol": "lctr", "top1_cls": 2.0},
    }
    assert set(summarize_runs(runs)["metrics"]) == {"top1_cls"}


def test_runs_of_different_protocols_are_not_averaged(tmp_path, capsys):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", protocol="wsoleval")]
    with pytest.raises(SystemExit, match="2"):
        summarize.main(runs)
    assert "protocol is 'lctr' in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        "[" * 100_000,
        b"\xff\xfe",
        '{"protocol": "lctr", "top1_cls": "90"}',
        '{"protocol": "lctr", "top1_cls": NaN}',
        '{"protocol": "lctr", "top1_cls": ' + "9" * 400 + "}",
        '{"protocol": ["lctr"]}',
        '{"protocol": "lctr", "baselines": [1]}',
        '{"protocol": "lctr", "baselines": {"full_image": {}}}',
    ],
)
def test_a_run_without_metrics_is_named(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "eval").mkdir()
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "eval" / "metrics.json").write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        summarize.main([str(tmp_path)])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert str(tmp_path) in error
    assert error.count("\n") == 1


def test_brackets_in_names_are_no_markup(tmp_path, capsys):
    baselines = {"[/odd]": {"gt_known_loc": 8.0}}
    summarize.main([write_run(tmp_path / "run [/b]", top1_cls=90.0, baselines=baselines)])
    assert "[/odd]" in capsys.readouterr().out

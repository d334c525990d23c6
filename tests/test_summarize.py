"""Several runs as one result."""

import json

import pytest

from lctr_jax import summarize
from lctr_jax.run.summary import read_metrics, summarize_runs


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

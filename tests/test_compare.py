"""The comparison of finished evaluations: its page, its notes, and what it refuses."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fake_results import HOSTILE, make_results, make_settings, summarize_results
from test_outcomes import write_lines
from test_report import Page

from lctr_jax import compare
from lctr_jax.evaluation.prediction_outcomes import read_outcomes
from lctr_jax.evaluation.tables import write_tables
from lctr_jax.localization.measurement import measure
from lctr_jax.report.evaluation_page import write_report
from lctr_jax.report.gallery import GROUPS, Gallery
from lctr_jax.report.saved_pictures import read_pictures

COUNT = 40
SETTINGS = make_settings()


def write_run(folder, *, maps_of, boxes=True):
    """An evaluation of always the same images, with the maps of other ones."""
    sources = zip(
        make_results(COUNT, SETTINGS, boxes=boxes), make_results(COUNT, SETTINGS, seed=maps_of), strict=True
    )
    results = []
    for result, other in sources:
        maps = {name: getattr(other.sample, name) for name in ("predicted_map", "label_map", "top5")}
        sample = replace(result.sample, **maps)
        results.append(replace(result, sample=sample, measurement=measure(sample, SETTINGS)))
    out = folder / "eval"
    out.mkdir(parents=True)
    metrics, sums = summarize_results(results, SETTINGS)
    (out / "metrics.json").write_text(json.dumps(metrics))
    write_tables(out, sums, HOSTILE)
    write_lines(out / "predictions.jsonl", results, SETTINGS)
    gallery = Gallery()
    for result in results:
        gallery.add(result)
    write_report(out, gallery, title="A run", class_names=HOSTILE, options={}, facts={})
    return metrics


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A good run, a run of two seeds, and one with a hostile name."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "good", maps_of=0)
    for seed in range(2):
        write_run(folder / "seeds" / str(seed), maps_of=seed + 1)
    write_run(folder / "<b>naïve & $x_日本", maps_of=3)
    return folder


def outcomes(run):
    return read_outcomes(run / "eval" / "predictions.jsonl")


def compare_runs(out, *folders):
    compare.main([*(str(folder) for folder in folders), "--out", str(out)])
    return out.read_text()


@pytest.mark.slow
def test_the_page_shows_every_run_and_asks_for_nothing(runs, tmp_path, capsys):
    hostile = next(runs.glob("<b>*"))
    html = compare_runs(tmp_path / "page.html", runs / "good", runs / "seeds", hostile)
    page = Page(html)
    assert len(html) < 1_500_000
    assert "<b>naïve" not in html
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    assert len(page.all("span", **{"class": "stage"})) == 3 * GROUPS["random"]
    assert html.count('<svg aria-hidden="true"') == 1

    metrics = json.loads((runs / "good/eval/metrics.json").read_text())
    low, high = metrics["intervals_95"]["gt_known_loc"]
    assert f"{metrics['gt_known_loc']:.1f} {low:.1f} – {high:.1f}" in page.text  # the report's own interval
    first, *seeds = (outcomes(run) for run in (runs / "good", runs / "seeds/0", runs / "seeds/1"))
    located = [seed.means()["gt_known_loc"] for seed in seeds]
    assert f"{np.mean(located):.1f} ± {np.std(located, ddof=1):.1f}" in page.text
    points = np.mean(located) - first.means()["gt_known_loc"]
    sentence = f"seeds against good, GT-known Loc: {points:+.1f} points"
    assert sentence in page.text
    assert sentence in capsys.readouterr().out


def test_images_on_which_the_runs_disagree_most_come_first(runs, tmp_path):
    page = Page(compare_runs(tmp_path / "page.html", runs / "good", runs / "seeds"))
    pictures = [read_pictures(run / "eval") or {} for run in (runs / "good", runs / "seeds/0")]
    ranges = {name: abs((pictures[0][name].iou or 0) - (pictures[1][name].iou or 0)) for name in pictures[0]}
    shown = [re.match(r"(\S+),", each["aria-label"]) for each in page.all("span", **{"class": "photo"})]
    assert [name[1] for name in shown if name][::2] == sorted(ranges, key=lambda name: (-ranges[name], name))


def test_exchanged_runs_have_the_opposite_difference(runs, tmp_path, capsys):
    found = []
    for pair in (("good", "seeds"), ("seeds", "good")):
        compare_runs(tmp_path / "page.html", *(runs / name for name in pair))
        said = capsys.readouterr().out
        found.append([float(text) for text in re.findall(r"[+-]\d+\.\d", said)])
    value, low, high = found[0]
    assert low < value < high
    assert found[1] == [-value, -high, -low]


def test_without_boxes_the_classes_are_compared(tmp_path, capsys):
    for maps_of, name in enumerate("ab"):
        write_run(tmp_path / name, maps_of=maps_of, boxes=False)
    page = Page(compare_runs(tmp_path / "page.html", tmp_path / "a", tmp_path / "b"))
    assert "b against a, Top-1 classification: " in capsys.readouterr().out
    assert "GT-known Loc" not in page.text
    assert not page.all("figure")


@pytest.fixture
def pair(runs, tmp_path):
    """Copies of two runs, to be changed."""
    for name in ("good", "seeds"):
        shutil.copytree(runs / name, tmp_path / name)
    return tmp_path


def change_metrics(folder, **values):
    path = folder / "eval" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_is_missing_or_differs_is_said(pair, capsys):
    for seed in range(2):
        change_metrics(pair / "seeds" / str(seed), threshold_source="fixed")
    (pair / "seeds/0/eval/pictures.json").unlink()
    (pair / "seeds/2").mkdir()
    page = Page(compare_runs(pair / "page.html", pair / "good", pair / "seeds"))
    said = capsys.readouterr().err
    assert f"{pair / 'seeds/2'}: left out, since it has not been evaluated" in said
    assert "no eval/pictures.json, so its images are not shown" in said
    assert "chosen in different ways: held-out (val) for good, fixed for seeds" in said
    assert "Without pictures: seeds" in page.text


def drop_images(pair):
    path = pair / "seeds/0/eval/predictions.jsonl"
    other = pair / "seeds/1/eval/predictions.jsonl"
    for each in (path, other):
        each.write_text("".join(each.read_text().splitlines(keepends=True)[:-4]))
        change_metrics(each.parents[1], num_images=COUNT - 4, num_images_with_boxes=COUNT - 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            drop_images,
            r"seeds lacks 4 of the images of \S+good: class/0036.jpg, class/0037.jpg, class/0038.jpg, ..",
        ),
        (lambda pair: change_metrics(pair / "good", protocol="wsoleval"), "protocol is 'wsoleval' in"),
        (lambda pair: change_metrics(pair / "good", split="val"), "split is 'val' in"),
        (
            lambda pair: change_metrics(pair / "good", num_images=3),
            "got 40 images, .* but metrics.json has 3",
        ),
        (
            lambda pair: shutil.rmtree(pair / "good/eval"),
            "good: no eval/metrics.json, and no folders of seeds",
        ),
        (lambda pair: (pair / "good/eval/predictions.jsonl").unlink(), "predictions.jsonl: No such file"),
        (lambda pair: (pair / "good/eval/curves.csv").write_text("a\n1\n"), "curves.csv: expected columns"),
    ],
)
def test_a_mistake_is_one_line(pair, capsys, change, message):
    change(pair)
    with pytest.raises(SystemExit, match="2"):
        compare_runs(pair / "page.html", pair / "good", pair / "seeds")
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not (pair / "page.html").exists()


def test_one_run_or_the_same_twice_is_refused(runs, tmp_path, capsys):
    for given, message in (
        (["good"], "got 1, expected two or more"),
        (["good", "seeds/../good"], "are the same run"),
    ):
        with pytest.raises(SystemExit, match="2"):
            compare_runs(tmp_path / "page.html", *(runs / name for name in given))
        assert message in capsys.readouterr().err

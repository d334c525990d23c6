import csv
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_results import HOSTILE, make_results, make_settings, summarize_results

from lctr_jax.evaluation.tables import write_tables
from lctr_jax.report.charts import iou_chart
from lctr_jax.report.evaluation_page import write_report
from lctr_jax.report.gallery import Gallery
from lctr_jax.report.metric_tables import comparison, metric_rows, verdict
from lctr_jax.report.saved_pictures import read_pictures

OPTIONS = {"seed": 3, "data": {"name": HOSTILE[0]}, "eval": {"threshold": 0.3, "first_box_only": False}}


class Page(HTMLParser):
    """Every element with its attributes, and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    def all(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]


def write(folder, *, protocol="lctr", boxes=True, count=80):
    settings = make_settings(protocol)
    results = make_results(count, settings, boxes=boxes)
    metrics, sums = summarize_results(results, settings)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    write_tables(folder, sums, HOSTILE)
    gallery = Gallery()
    for result in results:
        gallery.add(result)
    facts = {"weights": "somewhere <b>bold</b>"}
    write_report(folder, gallery, title=HOSTILE[1], class_names=HOSTILE, options=OPTIONS, facts=facts)
    return metrics, results, (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    metrics, results, html = write(folder)
    return folder, metrics, results, Page(html), html


def test_the_page_is_one_small_file_that_asks_for_nothing(report):
    _, _, _, page, html = report
    assert len(html) < 3_000_000
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "poster", "data"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    assert "url(http" not in html
    assert "@import" not in html
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_the_random_pictures_are_saved_for_comparisons(report):
    folder, _, results, page, _ = report
    pictures = read_pictures(folder) or {}
    random = [each for each in page.all("li") if "random" in (each.get("data-groups") or "")]
    assert pictures.keys() == {each["data-name"] for each in random}
    result = next(result for result in results if result.sample.id in pictures)
    picture = pictures[result.sample.id]
    assert picture.predicted_xyxy == [tuple(result.measurement.box_xyxy.tolist())]
    assert (picture.iou, picture.error) == (result.iou, result.error)
    assert picture.photo in {each["src"] for each in page.all("img", **{"class": "photo"})}
    assert read_pictures(folder.parent) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("photo", "data:image/webp;base64,AA'); x", "photo: expected a WebP image"),
        ("iou", None, "error: got"),
        ("true_xyxy", [[0, 0, 1]], "true_xyxy: expected a list of boxes"),
        ("width", "wide", "width: got 'wide', expected a finite number"),
        ("frame", 1, "expected a picture of an evaluation"),
    ],
)
def test_saved_pictures_of_other_content_are_refused(report, tmp_path, name, value, message):
    entries = json.loads((report[0] / "pictures.json").read_text())
    next(iter(entries.values()))[name] = value
    (tmp_path / "pictures.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=message):
        read_pictures(tmp_path)


def test_hostile_names_are_text_and_nothing_else(report):
    *_, page, html = report
    assert HOSTILE[0] not in html
    assert "<b>bold" not in html
    assert len(page.all("script")) == 1
    assert not [
        attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)
    ]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
    for name in HOSTILE:
        assert name in page.text


def test_numbers_stand_with_protocol_threshold_source_interval_and_baselines(report):
    _, metrics, _, page, _ = report
    low, high = metrics["intervals_95"]["gt_known_loc"]
    assert "Protocol lctr , threshold 0.300 held-out (val)" in page.text
    assert f"GT-known Loc {metrics['gt_known_loc']:.1f} % 95% interval {low:.1f} – {high:.1f}" in page.text
    for name, value in (
        ("Full-image box", metrics["baselines"]["full_image"]["gt_known_loc"]),
        ("Centered square", metrics["baselines"]["centered_box"]["gt_known_loc"]),
        ("Same network, untrained", 12.5),
    ):
        assert name in page.text
        assert f"{value:.1f}" in page.text


def test_every_picture_has_words_boxes_and_three_maps(report):
    _, _, results, page, _ = report
    items = page.all("li", **{"class": "gallery-item"})
    assert 40 < len(items) <= len(results)
    photos = page.all("img", **{"class": "photo"})
    assert len(photos) == len(items)
    assert all("predicted" in photo["alt"] and "IoU" in photo["alt"] for photo in photos)
    for kind in ("relation", "class", "fused"):
        assert len({image["src"] for image in page.all("img", **{"data-map": kind})}) == len(items)
    assert len(page.all("rect", **{"class": "line true"})) == len(items)
    assert len(page.all("rect", **{"class": "line predicted color-0"})) == len(items)


def test_an_item_says_what_the_files_say(report):
    _, _, results, page, _ = report
    by_name = {result.sample.id: result for result in results}
    for item in page.all("li", **{"class": "gallery-item"}):
        result = by_name[item["data-name"]]
        assert item["data-error"] == result.measurement.scores.error
        assert item["data-class"] == HOSTILE[result.sample.label]


def test_the_tables_are_the_sums_that_metrics_come_from(report):
    folder, metrics, results, *_ = report
    with (folder / "per_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(HOSTILE)
    assert sum(int(row["num_images"]) for row in rows) == len(results)
    of_first = [result.measurement for result in results if result.sample.label == 0]
    located = [measurement.scores.iou >= 0.5 for measurement in of_first]
    assert float(rows[0]["gt_known_loc"]) == pytest.approx(100 * np.mean(located))
    with (folder / "curves.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert len(points) == 255
    at_threshold = points[int(0.3 * 255)]
    assert float(at_threshold["gt_known_loc"]) == pytest.approx(metrics["gt_known_loc"], abs=1e-3)


def test_charts_take_the_page_s_colors_and_have_ids_of_their_own(report):
    _, metrics, _, page, html = report
    assert html.count("<svg ") >= 2
    assert "var(--accent)" in html
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    missed = sum(metrics["iou_histogram"][:10])
    assert f"{missed} missed" in page.text
    assert iou_chart(metrics) == iou_chart(metrics)  # the same from run to run


def test_wsoleval_boxes_the_true_class(tmp_path):
    *_, html = write(tmp_path, protocol="wsoleval", count=30)
    page = Page(html)
    assert "Protocol wsoleval" in page.text
    wrong = [item for item in page.all("li", **{"class": "gallery-item"}) if item["data-class"] == HOSTILE[2]]
    assert wrong
    assert f"Boxed from the map of {HOSTILE[2]} ; the true class is {HOSTILE[2]}" in page.text


def test_without_boxes_the_page_says_so_and_claims_nothing(tmp_path):
    *_, html = write(tmp_path, boxes=False, count=30)
    page = Page(html)
    assert "This split has no true boxes: only classification can be measured." in page.text
    assert "GT-known Loc" not in page.text  # no empty columns either
    assert "Mean IoU" not in page.text
    assert "Comparison with baselines" not in page.text
    assert not (tmp_path / "curves.csv").exists()
    assert "Top-1 classification" in page.text


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((60.0, 70.0), "Better than every"),
        ((40.0, 49.0), "Worse than"),
        ((45.0, 55.0), "Not significantly different"),
    ],
)
def test_the_verdict_compares_the_interval_with_the_best_baseline(interval, says):
    baseline = {"gt_known_loc": 50.0, "size_source": "oracle"}
    metrics = {
        "gt_known_loc": 52.0,
        "threshold": 0.1,
        "threshold_source": "fixed",
        "intervals_95": {"gt_known_loc": interval},
        "baselines": {"full_image": baseline | {"gt_known_loc": 30.0}, "centered_box": baseline},
    }
    assert verdict(metrics).startswith(says)
    assert "Centered square, 50.0" in verdict(metrics)
    assert [bar.value for bar in comparison(metrics)] == [52.0, 30.0, 50.0]


def test_every_number_says_which_threshold_it_is_at():
    metrics = {"threshold": 0.25, "threshold_source": "held-out (val)", "top1_cls": 1.0, "gt_known_loc": 2.0}
    metrics |= {"max_box_acc": 3.0, "box_acc": 4.0}
    assert {row.name: row.threshold for row in metric_rows(metrics)} == {
        "Top-1 classification": "none",
        "GT-known Loc": "0.250, held-out (val)",
        "BoxAcc": "one per IoU level, held-out (val)",
        "MaxBoxAcc": "oracle: best on these images",
    }


def test_flat_maps_and_frame_covering_boxes_are_said(report, tmp_path):
    _, metrics, results, page, _ = report
    covering = metrics["frame_covering_boxes"]
    assert f"Flat maps: 0 of {len(results)} images. Boxes over 95% of the frame: {covering}." in page.text
    assert "have a flat map" not in page.text
    folder = report[0]
    for file in ("curves.csv", "per_class.csv"):
        (tmp_path / file).write_text((folder / file).read_text())
    (tmp_path / "metrics.json").write_text(json.dumps(metrics | {"flat_maps": 7}))
    write_report(tmp_path, Gallery(), title="", class_names=HOSTILE, options=OPTIONS, facts={})
    text = Page((tmp_path / "report.html").read_text()).text
    assert "7 of 80 images have a flat map, which localizes nothing" in text
    assert "their box is the full frame" in text


def test_masks_without_boxes_have_their_own_comparison(report, tmp_path):
    folder, metrics, *_ = report
    unboxed = ("protocol", "split", "num_images", "top1_cls", "top5_cls", "intervals_95", "flat_maps")
    scores = {"full_image": 20.0, "centered_gaussian": 41.5, "untrained": 30.0}
    masks_only = {name: metrics[name] for name in unboxed} | {
        "num_images_with_boxes": 0,
        "frame_covering_boxes": 0,
        "pxap": 55.5,
        "baselines": {name: {"pxap": value} for name, value in scores.items()},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(masks_only))
    (tmp_path / "per_class.csv").write_text((folder / "per_class.csv").read_text())
    write_report(tmp_path, Gallery(), title="", class_names=HOSTILE, options=OPTIONS, facts={})
    text = Page((tmp_path / "report.html").read_text()).text
    assert "no true boxes: only classification and, from its masks, PxAP can be measured" in text
    assert "Comparison with baselines" in text
    for value in ("55.5", "41.5", "20.0", "30.0"):
        assert value in text
    assert "GT-known Loc:" not in text

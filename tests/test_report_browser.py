"""The pages in a real browser: no errors on the console, and every control works."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, open_browser
from fake_results import HOSTILE, make_results, make_settings, summarize_results

from lctr_jax.evaluation.tables import write_tables
from lctr_jax.inference.prediction_inputs import Input
from lctr_jax.inference.result import BoxedClass, Prediction, RankedClass
from lctr_jax.report.evaluation_page import write_report
from lctr_jax.report.gallery import GROUPS, Gallery
from lctr_jax.report.prediction_folder import PredictionFolder
from lctr_jax.report.redraw import BoxRules

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    settings = make_settings()
    results = make_results(80, settings)
    metrics, sums = summarize_results(results, settings)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    write_tables(folder, sums, HOSTILE)
    gallery = Gallery()
    for result in results:
        gallery.add(result)
    write_report(folder, gallery, title="A report", class_names=HOSTILE, options={}, facts={})
    return folder / "report.html", results


@pytest.fixture
def page(browser, report):
    path, _ = report
    browser.get(path.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def run(page, script, *arguments):
    return page.execute_script(script, *arguments)


def shown(page):
    return run(
        page,
        "return [...document.querySelectorAll('.gallery-item:not([hidden])')]"
        ".map(item => ({...item.dataset}))",
    )


def choose(page, name, value):
    script = "const f = document.querySelector(`[name=${arguments[0]}]`); f.value = arguments[1];"
    run(page, script + "f.dispatchEvent(new Event('change', {bubbles: true}))", name, value)


def test_it_loads_without_complaint_and_runs_nobody_else_s_script(page):
    assert page.title == "A report"
    assert (
        run(page, "return performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:'))")
        == []
    )
    pictures = (
        "return [...document.images].filter(i => i.offsetParent).every(i => i.complete && i.naturalWidth)"
    )
    assert run(page, pictures)


def test_random_pictures_are_shown_first_and_filters_combine(page, report):
    _, results = report
    assert len(shown(page)) == GROUPS["random"]
    choose(page, "group", "")
    everything = shown(page)
    assert len(everything) > GROUPS["random"]
    error = results[0].measurement.scores.error
    choose(page, "error", error)
    of_error = shown(page)
    assert of_error == [item for item in everything if item["error"] == error] != everything
    choose(page, "class", HOSTILE[1])
    assert shown(page) == [item for item in of_error if item["class"] == HOSTILE[1]]
    count = run(page, "return document.querySelector('#shown').textContent")
    assert count == f"{len(shown(page))} of {len(everything)} images"


def test_nothing_to_show_offers_a_way_back(page):
    choose(page, "error", "multi_instance")  # there is one true box an image here
    assert shown(page) == []
    run(page, "document.querySelector('#reset').click()")
    assert len(shown(page)) > GROUPS["random"]


def test_an_outcome_and_a_class_lead_to_their_pictures(page):
    run(page, "document.querySelector('[data-show-error=wrong_class]').click()")
    assert {item["error"] for item in shown(page)} == {"wrong_class"}
    run(page, "document.querySelectorAll('[data-show-class]')[0].click()")
    assert {item["class"] for item in shown(page)} == {HOSTILE[0]}
    assert len({item["error"] for item in shown(page)}) > 1


@pytest.mark.parametrize("column", [1, 3, 5])
def test_the_table_sorts_by_number_both_ways(page, column):
    rows = "[...document.querySelectorAll('#classes tbody tr')]"
    values = f"return {rows}.map(row => Number(row.cells[{column}].textContent))"
    click = f"document.querySelectorAll('#classes thead button')[{column}].click()"
    run(page, click)
    assert run(page, values) == sorted(run(page, values), reverse=True)
    run(page, click)
    assert run(page, values) == sorted(run(page, values))
    assert len(set(run(page, values))) > 1


def test_details_show_the_three_maps_and_keys_move_on(page):
    run(page, "document.querySelector('.gallery-item:not([hidden]) button').click()")
    name = "return document.querySelector('#details-name').textContent"
    assert run(page, name) == shown(page)[0]["name"]
    maps = run(page, "return [...document.querySelectorAll('.panels .heat')].map(image => image.src)")
    assert len(set(maps)) == 3
    assert run(page, "return document.querySelectorAll('.panels .photo').length") == 4
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page.switch_to.active_element.send_keys(keys.ARROW_RIGHT)
    assert run(page, name) == shown(page)[1]["name"]
    page.switch_to.active_element.send_keys(keys.ESCAPE)
    assert not run(page, "return document.querySelector('#details').open")
    # The dialog's `close` event, which moves the focus back, comes after the dialog is no longer open.
    focused = "return document.activeElement.closest('.gallery-item')?.dataset.name ?? null"
    expected = shown(page)[1]["name"]
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(page, 10)
    wait.until(lambda page: run(page, focused) == expected)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_screen_and_follows_the_theme(page, width, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        assert run(page, "return document.documentElement.scrollWidth") <= width
        paper = run(page, "return getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 21, 24)"}[scheme]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_of_one_s_own_images(browser, tmp_path):
    rng = np.random.default_rng(0)
    rules = BoxRules(image_size=32)
    with PredictionFolder(tmp_path, total=3, facts={}, rules=rules, settings={}) as folder:
        for index, (width, height) in enumerate([(90, 30), (30, 90), (40, 40)]):
            best = RankedClass(index, HOSTILE[index], 0.75)
            box_xyxy = np.array([0.0, 0.0, width / 2, height / 2])
            relation_map = rng.uniform(size=(4, 4)).astype(np.float32)
            prediction = Prediction(
                image=rng.integers(0, 255, (height, width, 3), np.uint8),
                top=[best, RankedClass(9, "other", 0.25)],
                boxed=[BoxedClass(best, box_xyxy, True, score_map=relation_map)],
                region_xyxy=np.array([0.0, 0.0, width, height]),
                relation_map=relation_map,
                class_map=np.ones((4, 4), np.float32),
                localization_map=relation_map,
            )
            path = Path(f"photos/{index}.jpg")
            folder.add([(Input(path, path.name, path), prediction)])
        folder.write_page(unreadable={HOSTILE[1]: HOSTILE[0]}, facts={"threshold": 0.1})
    browser.get((tmp_path / "index.html").as_uri())
    assert browser.title == "Predictions"
    stages = "[...document.querySelectorAll('.view')]"
    shapes = run(browser, f"return {stages}.map(stage => stage.offsetWidth / stage.offsetHeight)")
    np.testing.assert_allclose(shapes, [3, 1 / 3, 1], rtol=0.05)
    measure = (
        "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.width, r.height]"
    )
    box, stage = (np.array(run(browser, measure, what)) for what in ("rect.predicted", ".view"))
    np.testing.assert_allclose(2 * box, stage, rtol=0.1)  # the box's line has a width of its own
    choose(browser, "any-class", HOSTILE[2])
    assert [item["name"] for item in shown(browser)] == ["photos/2.jpg"]
    run(browser, "document.querySelector('.gallery-item:not([hidden]) button').click()")
    assert run(browser, "return document.querySelector('#details-name').textContent") == "photos/2.jpg"
    assert browser.get_log("browser") == []


def test_boxes_are_drawn_as_lines_of_their_size(page):
    size = (
        "return [...document.querySelectorAll('.gallery-item:not([hidden]) rect.line')]"
        ".map(line => { const box = line.getBBox(); return [box.width - line.getAttribute('width'), "
        "box.height - line.getAttribute('height')]; })"
    )
    lines = run(page, size)
    assert len(lines) >= 2 * GROUPS["random"]
    np.testing.assert_allclose(lines, 0, atol=1e-3)

"""The page of predictions in a browser: boxes at other thresholds equal Python's; sorting and filters."""

from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, open_browser

from lctr_jax.inference.prediction_inputs import Input
from lctr_jax.inference.result import BoxedClass, Prediction, RankedClass
from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.regions import find_regions
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.report.prediction_folder import PredictionFolder
from lctr_jax.report.redraw import BoxRules, encode_values

pytestmark = needs_browser
SIDE, START = 56, Threshold(0.4)
LONG = "a class of a very long name " * 4 + "<b>that ends here</b>"
RULES = BoxRules(image_size=SIDE, all_regions=True, min_area=0.01)


def to_levels(score_map, side=SIDE):
    return quantize_map(resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=side))


def make_prediction(rng, names, *, width, height):
    boxed, scale = [], np.array([width, height] * 2) / SIDE
    for number, name in enumerate(names):
        score_map = rng.uniform(size=(7, 7)).astype(np.float32)
        ranked = RankedClass(number, name, 0.8 / (number + 1))
        for region in find_regions(to_levels(score_map), cut=START.cut, min_area=RULES.min_area):
            boxed.append(
                BoxedClass(
                    ranked,
                    region.box_xyxy * scale,
                    found=True,
                    score=ranked.probability * region.strength,
                    threshold=START.tau,
                    score_map=score_map,
                )
            )
    return Prediction(
        image=rng.integers(0, 255, (height, width, 3), np.uint8),
        top=[boxed[0].ranked],
        boxed=boxed,
        region_xyxy=np.array([0.0, 0.0, width, height]),
        relation_map=boxed[0].score_map,
        class_map=boxed[0].score_map,
        localization_map=boxed[0].score_map,
    )


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    names = [["cat", "dog", LONG], ["dog"], ["cat"], [LONG], ["cat", "dog"]]
    sizes = [(90, 60), (60, 90), (40, 40), (300, 60), (80, 80)]
    return {
        f"folder/photograph {number} of a long name, {'x' * 40}_{number}.jpg": make_prediction(
            rng, each, width=width, height=height
        )
        for number, (each, (width, height)) in enumerate(zip(names, sizes, strict=True))
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def path(tmp_path_factory, predictions):
    out = tmp_path_factory.mktemp("page")
    with PredictionFolder(out, total=len(predictions), facts={}, rules=RULES, settings={}) as folder:
        folder.add([(Input(Path(name), name, Path(name)), each) for name, each in predictions.items()])
        folder.write_page(unreadable={}, facts={"threshold": START.tau})
    return out / "index.html"


@pytest.fixture
def page(browser, path):
    browser.get(path.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def shown(page):
    return page.execute_script(
        "return [...document.querySelectorAll('.gallery-item:not([hidden])')].map(item => item.dataset.name)"
    )


def choose(page, name, value, event="change"):
    script = "const f = document.querySelector(`[name=${arguments[0]}]`); f.value = arguments[1];"
    page.execute_script(
        script + "f.dispatchEvent(new Event(arguments[2], {bubbles: true}))", name, value, event
    )


def move_threshold(page, tau):
    choose(page, "threshold", tau, "input")
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(page, 20)
    drawn = "return document.querySelector('.gallery').dataset.threshold"
    wait.until(lambda page: page.execute_script(drawn) == f"{tau:g}")


def drawn_boxes(page):
    """Corners by image and color, as the page draws them."""
    script = """
        return [...document.querySelectorAll('.gallery-item')].map(item => [item.dataset.name,
            [...item.querySelectorAll('rect.predicted')].map(r => [r.getAttribute('class').slice(-1),
                ...['x', 'y', 'width', 'height'].map(a => Number(r.getAttribute(a)))])])
    """
    found = {}
    for name, rectangles in page.execute_script(script):
        for color, x, y, width, height in rectangles:
            found.setdefault((name, int(color)), []).append([x, y, x + width, y + height])
    return {key: sorted(boxes) for key, boxes in found.items()}


def python_boxes(predictions, tau):
    found = {}
    for name, prediction in predictions.items():
        height, width = prediction.image.shape[:2]
        maps = dict.fromkeys(boxed.name for boxed in prediction.boxed)
        for color, each in enumerate(maps):
            score_map = next(boxed.score_map for boxed in prediction.boxed if boxed.name == each)
            regions = find_regions(to_levels(score_map), cut=Threshold(tau).cut, min_area=RULES.min_area)
            scale = np.array([width, height] * 2) / SIDE
            if regions:
                found[name, color] = sorted((region.box_xyxy * scale).tolist() for region in regions)
    return found


@pytest.mark.parametrize("side", [32, 56, 224])
def test_boxes_of_random_maps_equal_python_s(page, side):
    rng = np.random.default_rng(side)
    script = """
        const [map, side, cuts] = arguments, levels = regions.toLevels(regions.decodeMap(map), side);
        return cuts.map(cut => regions.findRegions(levels, side, cut)
            .map(r => [r.left, r.top, r.right, r.bottom, r.area, regions.strength(levels, side, r)]));
    """
    cuts, differences = [0, 25, 102, 180, 254], []
    for rows, columns in [(4, 4), (6, 6), (14, 14), (5, 9), (1, 1)]:
        score_map = rng.normal(size=(rows, columns)).astype(np.float32) ** 2
        data = {"rows": rows, "columns": columns, "values": encode_values(score_map)}
        levels = to_levels(score_map, side)
        for cut, found in zip(cuts, page.execute_script(script, data, side, cuts), strict=True):
            expected = [
                [*region.box_xyxy.tolist(), region.area, region.strength]
                for region in find_regions(levels, cut=cut)
            ]
            assert len(found) == len(expected)
            differences.append(np.abs(np.array(found or [[0] * 6]) - np.array(expected or [[0] * 6])).max(0))
    assert np.max(differences, axis=0)[:4].max() <= 1  # pixels of the frame
    assert np.max(differences, axis=0)[5] < 0.01


@pytest.mark.parametrize("tau", [0.25, 0.6])
def test_the_slider_draws_python_s_boxes_and_the_way_back_those_predicted(page, predictions, tau):
    before = drawn_boxes(page)
    assert before.keys() == python_boxes(predictions, START.tau).keys()
    move_threshold(page, tau)
    moved, expected = drawn_boxes(page), python_boxes(predictions, tau)
    assert moved.keys() == expected.keys()
    for key, boxes in expected.items():
        np.testing.assert_allclose(moved[key], boxes, atol=300 / SIDE + 1e-6, err_msg=str(key))
    assert moved != before
    page.execute_script("document.querySelector('#as-predicted').click()")
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(page, 20)
    wait.until(lambda page: drawn_boxes(page) == before)


def test_a_threshold_without_any_box_says_so(page, predictions):
    move_threshold(page, 0.99)
    choose(page, "size", "none")
    empty = {name for name, each in predictions.items()} - {
        name for name, _ in python_boxes(predictions, 0.99)
    }
    assert set(shown(page)) == empty
    keys = page.execute_script("return [...document.querySelectorAll('.key')].map(key => key.textContent)")
    assert any("no box" in key for key in keys)


def test_filters_by_class_score_and_size_combine(page, predictions):
    choose(page, "any-class", "dog")
    dogs = [name for name, each in predictions.items() if "dog" in {boxed.name for boxed in each.boxed}]
    assert shown(page) == dogs
    best = {name: max(boxed.score for boxed in predictions[name].boxed) for name in dogs}
    limit = sorted(best.values())[1] - 0.005
    choose(page, "score", f"{limit:.2f}", "input")
    assert shown(page) == [name for name in dogs if best[name] >= round(limit, 2)]
    page.execute_script("document.querySelector('#reset').click()")
    assert len(shown(page)) == len(predictions)


def test_order_by_score_and_by_size(page, predictions):
    def largest(prediction):
        height, width = prediction.image.shape[:2]
        return (
            max(np.prod(boxed.box_xyxy[2:] - boxed.box_xyxy[:2]) for boxed in prediction.boxed)
            / width
            / height
        )

    choose(page, "sort", "score")
    scores = {name: max(boxed.score for boxed in each.boxed) for name, each in predictions.items()}
    assert shown(page) == sorted(predictions, key=lambda name: -scores[name])
    choose(page, "sort", "size-up")
    assert shown(page) == sorted(predictions, key=lambda name: largest(predictions[name]))
    page.execute_script("document.querySelector('.gallery-item button').click()")
    page.execute_script("document.querySelector('#next').click()")  # the order shown
    assert page.execute_script("return document.querySelector('#details-name').textContent") == shown(page)[1]


@pytest.mark.parametrize("width", [360, 1200])
def test_long_names_are_whole_and_the_page_fits(page, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        clipped = """
            const clips = e => getComputedStyle(e).overflow != 'visible' && e.scrollWidth > e.clientWidth + 1;
            return [...document.querySelectorAll('.caption span, .caption b')].filter(clips).length
        """
        assert page.execute_script(clipped) == 0
        assert "that ends here" in page.execute_script("return document.querySelector('.key').innerText")
        labels = (
            "return [...document.querySelectorAll('#filters :is(input, select)')].every(f => f.labels.length)"
        )
        assert page.execute_script(labels)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

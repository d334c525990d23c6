"""The demo page in a browser: it follows its controls, and needs no network."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from browser import needs_browser, open_browser, requested
from PIL import Image
from quick_compilation import child_flags
from test_demo import NAMES, ROOT, checkpoint, photo

pytestmark = pytest.mark.slow

__all__ = ["checkpoint"]  # a fixture


SERVER = """
import sys
from lctr_jax import demo

read_image = demo.read_image

def tell(model, image, **options):
    print("read", *image.shape[1::-1], flush=True)
    return read_image(model, image, **options)

demo.read_image = tell
demo.main(sys.argv[1:])
"""


@contextmanager
def serving(checkpoint, tmp_path, *examples):
    """The address of a page, and what the network was asked so far."""
    pytest.importorskip("gradio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--checkpoint", checkpoint, "--port", port, *(["--examples", *examples] if examples else [])]
    said = tmp_path / "said.txt"

    def seen():
        lines = [line.split() for line in said.read_text().splitlines() if line.startswith("read ")]
        return [(int(width), int(height)) for _, width, height in lines]

    with said.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, *map(str, options)],
            env=os.environ | {"XLA_FLAGS": child_flags(1)},
            stdout=out,
            cwd=ROOT,
        )
    try:
        for _ in range(900):
            if "local URL" in said.read_text():
                break
            assert server.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/", seen
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def page(checkpoint, tmp_path):
    """A browser on the page of a network with one example, its address, and what was read so far."""
    Image.fromarray(photo(1)).save(tmp_path / "example.png")
    with (
        serving(checkpoint, tmp_path, tmp_path / "example.png") as (address, seen),
        open_browser(tmp_path / "profile", log_requests=True) as browser,
    ):
        browser.get(address)
        yield browser, address, seen


def wait_for(browser, script, *arguments, seconds=20):
    """The script's value once it is something."""
    for _ in range(seconds * 10):
        if value := browser.execute_script(script, *arguments):
            return value
        time.sleep(0.1)
    raise AssertionError(f"nothing came of {script}")


BOXES = "return [...document.querySelectorAll('#panels .lctr-box')].map(box => box.getAttribute('style'))"


CHANGED = "const now = document.querySelector('#table').innerText; return now !== arguments[0] && now"


@needs_browser
def test_the_page_follows_threshold_and_class_and_asks_the_network_once_an_image(page, tmp_path):
    browser, address, seen = page
    wait_for(browser, "return document.querySelector('.gallery-item')").click()
    before = wait_for(browser, BOXES)
    assert len(before) == 1
    count = len(seen())
    assert seen()[-1] == (90, 60)

    slider = "const box = document.querySelector('#threshold input[type=number]'); box.value = arguments[0];"
    browser.execute_script(slider + "box.dispatchEvent(new Event('input', {bubbles: true}))", 0.8)
    caption = "return document.querySelector('.lctr-fused').innerText.includes('above 0.8')"
    wait_for(browser, caption)
    after = browser.execute_script(BOXES)
    assert len(after) == 1
    assert after != before

    table = browser.execute_script("return document.querySelector('#table').innerText")
    browser.find_element("css selector", "#choice input").click()
    choices = "return [...document.querySelectorAll('ul[role=listbox] li')]"
    options = wait_for(browser, choices)
    assert [option.text.strip("✓ ") for option in options][2:] == list(NAMES)
    options[1].click()
    wait_for(browser, CHANGED, table)
    drawn = wait_for(browser, "return document.querySelectorAll('#panels .lctr-box').length > 1")
    assert drawn
    assert len(seen()) == count

    Image.fromarray(photo(2, (50, 80))).save(tmp_path / "mine.png")
    remove = (
        "[...document.querySelectorAll('#image button')].find(b => b.ariaLabel?.startsWith('Remove')).click()"
    )
    browser.execute_script(remove)
    wait_for(browser, "return document.querySelector('.lctr-empty')")
    browser.find_element("css selector", "#image input[type=file]").send_keys(str(tmp_path / "mine.png"))
    wait_for(browser, "return document.querySelector('.lctr-panels')")
    assert seen()[count:] == [(50, 80)]
    ratios = browser.execute_script(
        "return [...document.querySelectorAll('.lctr-view')].map(v => v.offsetWidth / v.offsetHeight)"
    )
    np.testing.assert_allclose(ratios, 50 / 80, rtol=0.03)

    addresses = requested(browser)
    assert len(addresses) > 5
    assert [other for other in addresses if not other.startswith(address)] == []
    # Gradio's own code warns of a method that this page does not use.
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "WARNING"] == []


PAGE = """
from lctr_jax.viewer.demo_page import build_page, serve_page
page = build_page(lambda image: None, class_names=("owl",), threshold=0.1, examples=(), about="")
print(serve_page(page, port=None, block=False))
page.close()
"""


def test_the_page_does_without_the_environments_proxies():
    pytest.importorskip("gradio")
    dead = dict.fromkeys(("http_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | dead | {"ALL_PROXY": "socks5://127.0.0.1:9", "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "-c", PAGE], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:" in done.stdout

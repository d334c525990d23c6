"""The demo's responses to requests from other websites, oversized uploads and unreadable images."""

import http.client
import io
import itertools
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from subprocess import PIPE
from urllib.parse import urlsplit

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from quick_compilation import child_flags

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.data.geometry import Geometry
from lctr_jax.demo import NotFiniteError, build_demo, read_image
from lctr_jax.inference.loading import LoadedModel
from lctr_jax.models.output import Output
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.viewer.demo_page import PREDICTED_CLASS, draw_reading, serve_page
from lctr_jax.viewer.reading import MAX_PHOTO_SIDE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
MAX_UPLOAD_BYTES = 100_000_000
NAMES = ("cat", "dog", "owl")
SPEC = ModelSpec(
    num_classes=3, width=16, depth=1, heads=2, image_size=32, patch_size=8, initialization="fan_in"
)
METADATA = Metadata(kind="network", spec=SPEC, class_names=NAMES)
GEOMETRY = Geometry("wsoleval", SPEC.image_size)


def network(scale=1.0):
    parameters = jax.tree.map(lambda leaf: leaf * scale, initialize(SPEC, jax.random.key(0)))
    return LoadedModel(parameters, METADATA)


def serve():
    """Serve the pages of an intact and a diverged network until stdin is closed; print their addresses."""
    for scale in (1.0, float("nan")):
        page = build_demo(network(scale), geometry="wsoleval", threshold=0.3, examples=())
        print("serving", serve_page(page, port=None, block=False), flush=True)
    sys.stdin.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Ports of the two pages, and what they said on stderr: a process, since Gradio leaves sockets open."""
    pytest.importorskip("gradio")
    said = tmp_path_factory.mktemp("server") / "said.txt"
    with (
        said.open("w") as err,
        subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env=os.environ | {"XLA_FLAGS": child_flags(1)},
            stdin=PIPE,
            stdout=PIPE,
            stderr=err,
            text=True,
        ) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        lines = (line.split()[1] for line in server.stdout if line.startswith("serving "))
        addresses = list(itertools.islice(lines, 2))
        assert len(addresses) == 2, said.read_text()
        yield [urlsplit(address).port for address in addresses], said
        server.stdin.close()


@pytest.fixture
def port(served):
    return served[0][0]


def ask(port, path, body=None, **headers):
    """Status and text of an answer; a `body` is sent by POST."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        method = "GET" if body is None else "POST"
        connection.request(
            method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def upload(port, content, name="photo.png"):
    """Upload as the page does; the file's place on the server."""
    head = f'--limit\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    form = "multipart/form-data; boundary=limit"
    body = head + content + b"\r\n--limit--\r\n"
    status, text = ask(port, "/gradio_api/upload", body, Content_Type=form)
    assert status == 200, text
    return json.loads(text)[0]


def localize(port, path, tau=0.3):
    """What the page shows of an uploaded file: panels and table."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [file, PREDICTED_CLASS, tau]})
    status, text = ask(port, "/gradio_api/call/localize", body, Content_Type="application/json")
    assert status == 200, text
    status, events = ask(port, f"/gradio_api/call/localize/{json.loads(text)['event_id']}")
    assert status == 200
    assert "event: complete" in events, events
    return json.loads(events.split("data: ")[-1])[-2:]


def png(size=(90, 60)):
    pixels = np.random.default_rng(0).integers(0, 255, (5, 5, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(width, height):
    """A PNG of a hundred bytes that declares that number of pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + image


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (bomb(100_000, 100_000), "bomb.png", "(10000000000 pixels) exceeds limit"),
        (bomb(12_000, 9_000), "bomb.png", "12000 x 9000 pixels, at most 100000000 allowed"),
        (b"", "empty.png", "cannot decode the image"),
        (b"no image at all", "text.jpg", "cannot decode the image"),
        (png()[:200], "cut.png", "cannot decode the image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "script.png", "cannot decode the image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.svg", "cannot decode the image"),
    ],
    ids=["bomb", "above the limit", "empty", "text", "cut", "EPS", "SVG"],
)
def test_an_image_that_cannot_be_read_is_answered_with_the_reason(port, content, name, reason):
    panels, table = localize(port, upload(port, content, name))
    assert 'role="alert"' in panels
    assert reason in panels
    assert table == ""


def test_an_image_is_shown_upright(port):
    panels, table = localize(port, upload(port, png()))
    assert "lctr-panels" in panels
    assert "aspect-ratio: 90 / 60" in panels
    assert "owl" in table
    turned = Image.open(io.BytesIO(png()))
    exif, buffer = turned.getexif(), io.BytesIO()
    exif[274] = 6
    turned.save(buffer, "JPEG", exif=exif)
    assert "aspect-ratio: 60 / 90" in localize(port, upload(port, buffer.getvalue(), "turned.jpg"))[0]


def test_a_file_that_was_not_uploaded_is_not_read(port, tmp_path):
    (tmp_path / "mine.png").write_bytes(png())
    with pytest.raises(AssertionError, match="event: error"):
        localize(port, str(tmp_path / "mine.png"))


@pytest.mark.parametrize("tau", [float("nan"), None, "half", [0.3], -1, 1, 1e999], ids=str)
def test_an_impossible_threshold_is_answered_in_words(port, tau):
    panels, table = localize(port, upload(port, png()), tau)
    assert 'role="alert"' in panels
    assert "threshold: got" in panels
    assert table == ""


def test_the_output_of_a_diverged_network_is_answered_in_words(served):
    ports, said = served
    panels, table = localize(ports[1], upload(ports[1], png()))
    assert "output is not finite (NaN or infinity)" in panels
    assert table == ""
    assert said.read_text().count("warning: the network's output is not finite") == 1


def answering(**changed):
    """A network that answers any image with the same logits and maps."""
    grid, classes = jnp.ones((1, 4, 4)), jnp.full((1, 3, 4, 4), 9.0)
    output = Output(jnp.ones((1, 3)), classes, grid, grid, jnp.ones((1, 4, 4, 16)))
    output = output._replace(**{name: getattr(output, name) * scale for name, scale in changed.items()})

    class Answering(LoadedModel):
        def __call__(self, images, classes=None):
            return output

    return Answering({}, METADATA)


@pytest.mark.parametrize(
    ("field", "value"),
    [("logits", np.nan), ("class_map", np.inf), ("relation_map", 3e38)],
    ids=["logits", "class map", "product of the maps"],
)
def test_an_output_that_is_not_finite_is_no_reading(field, value):
    image = np.zeros((9, 9, 3), np.uint8)
    read_image(answering(), image, geometry=GEOMETRY, class_names=NAMES)
    with pytest.raises(NotFiniteError):
        read_image(answering(**{field: np.float32(value)}), image, geometry=GEOMETRY, class_names=NAMES)


def test_a_reading_keeps_what_the_page_shows_of_a_large_image():
    reading = read_image(
        answering(), np.zeros((1500, 3000, 3), np.uint8), geometry=GEOMETRY, class_names=NAMES
    )
    assert reading.photo.shape == (MAX_PHOTO_SIDE // 2, MAX_PHOTO_SIDE, 3)
    np.testing.assert_allclose(reading.region_xyxy, [0, 0, 3000, 1500])


def test_the_reason_stays_when_the_threshold_moves_and_is_escaped():
    panels, table = draw_reading("cannot decode <b>", PREDICTED_CLASS, 0.5)
    assert "cannot decode &lt;b&gt;" in panels
    assert table == ""


HERE = ("127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LOCALHOST:{port}", "localhost:8000")
FOREIGN = ("evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost@evil.example")
ELSEWHERE = ("", "0.0.0.0:{port}", "192.168.0.1:{port}", "127.0.0.1:port", "127.0.0.1:{port}/x")


@pytest.mark.parametrize("host", HERE)
def test_this_machine_s_names_are_answered(port, host):
    host = host.format(port=port)
    assert ask(port, "/", Host=host)[0] == 200
    for origin in (f"http://127.0.0.1:{host.rpartition(':')[2]}", f"http://{host}"):
        assert ask(port, "/gradio_api/info", Host=host, Origin=origin)[0] == 200


@pytest.mark.parametrize("host", FOREIGN + ELSEWHERE)
def test_a_foreign_host_is_refused(port, host):
    for path in ("/", "/config", "/gradio_api/info", "/theme.css"):
        status, text = ask(port, path, Host=host.format(port=port))
        assert status == 403
        assert text.startswith("Host: got")
        assert text.endswith("expected this machine: localhost, 127.0.0.1 or [::1]\n")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "https://localhost:{port}", "file://"]
)
def test_a_foreign_origin_is_refused(port, origin):
    for body in (None, "{}"):
        status, text = ask(port, "/gradio_api/upload" if body else "/", body, Origin=origin.format(port=port))
        assert status == 403
        assert "expected this page: http://127.0.0.1" in text


@pytest.mark.parametrize(
    ("path", "header", "value", "expected"),
    [
        ("upload", "Content-Length", 10**10, (413, "expected at most 101000000 bytes")),
        ("queue/join", "Content-Length", 10**7, (413, "expected at most 1000000 bytes")),
        ("run/localize", "Content-Length", 10**7, (413, "expected at most 1000000 bytes")),
        ("upload", "Transfer-Encoding", "chunked", (411, "expected the size of the request in bytes")),
    ],
)
def test_a_request_without_a_bounded_size_is_refused_before_it_is_sent(port, path, header, value, expected):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", f"/gradio_api/{path}")
    connection.putheader(header, str(value))
    connection.endheaders()
    answer = connection.getresponse()
    status, reason = expected
    assert answer.status == status
    assert reason in answer.read().decode()
    connection.close()


def test_a_file_above_the_limit_is_refused_with_the_limit(port):
    form = "multipart/form-data; boundary=limit"
    head = b'--limit\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = head + bytes(MAX_UPLOAD_BYTES + 1) + b"\r\n--limit--\r\n"
    said = ask(port, "/gradio_api/upload", body, Content_Type=form)
    assert said == (413, f"File size exceeded maximum allowed size of {MAX_UPLOAD_BYTES} bytes.")


if __name__ == "__main__":
    serve()

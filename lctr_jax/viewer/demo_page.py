"""The page of the interactive demo in Gradio. It only accesses its own server."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lctr_jax.errors import one_line
from lctr_jax.json_objects import require_number
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.viewer.panels import STYLE, draw_notice, draw_panels, draw_table
from lctr_jax.viewer.reading import Reading

PREDICTED_CLASS, TOP_FIVE = -1, -2  # special values of the class menu

_EMPTY = "Upload an image or choose an example."
_HIGHEST, _STEP = 0.995, 0.005  # gray levels are 0.004 apart
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_MAX_PAGES = 16  # open at once; each keeps a few megabytes
_KEEP = (3600, 3600)  # seconds: interval of deleting uploaded images, and their minimum age


def build_page(
    read: Callable[[Path], Reading],
    *,
    class_names: Sequence[str],
    threshold: float,
    examples: Sequence[Path],
    about: str,
):
    """Build a Gradio page around `read`, which is called once per image; the rest uses its result.

    If `read` raises ValueError or OSError, the page shows the message.

    Raises:
        ModuleNotFoundError: Gradio is not installed.
    """
    gr = import_gradio()
    choices = [("the predicted class", PREDICTED_CLASS), ("the five most likely", TOP_FIVE)]
    choices += [(name, label) for label, name in enumerate(class_names)]

    def localize(path: str | None, choice: int, tau: object):
        reading = None if path is None else _read_or_reason(read, Path(path))
        return reading, *draw_reading(reading, choice, tau)

    with gr.Blocks(title="lctr_jax", analytics_enabled=False, delete_cache=_KEEP) as page:
        reading = gr.State()
        gr.Markdown(f"# Object localization\n{about}")
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                image = gr.Image(
                    type="filepath",
                    sources=["upload", "clipboard"],
                    label="Image",
                    height=220,
                    elem_id="image",
                )
                choice = gr.Dropdown(choices, value=PREDICTED_CLASS, label="Box", elem_id="choice")
                tau = gr.Slider(
                    0,
                    max(_HIGHEST, threshold),
                    threshold,
                    step=_STEP,
                    label="Threshold",
                    buttons=["reset"],
                    elem_id="threshold",
                )
                # Gradio would decode any format and size, and report only "Error" for unreadable images.
                image.preprocess = _uploaded_path
                tau.preprocess = _as_sent
                if examples:
                    paths = [str(path) for path in examples]
                    gr.Examples(paths, image, examples_per_page=len(paths), cache_examples=False)
            with gr.Column(scale=5, min_width=320):
                panels = gr.HTML(draw_notice(_EMPTY), elem_id="panels")
                table = gr.HTML(elem_id="table")
        image.change(localize, [image, choice, tau], [reading, panels, table], show_progress="hidden")
        gr.on(
            [choice.change, tau.change],
            draw_reading,
            [reading, choice, tau],
            [panels, table],
            show_progress="hidden",
            trigger_mode="always_last",
        )
    return page


def draw_reading(reading: Reading | str | None, choice: int, tau: object) -> tuple[str, str]:
    """Draw the page's images and table, or the reason why there are none."""
    if reading is None:
        return draw_notice(_EMPTY), ""
    if isinstance(reading, str):
        return draw_notice(reading, problem=True), ""
    try:
        threshold = Threshold(require_number(tau, where="threshold"))
    except ValueError as error:
        return draw_notice(one_line(error), problem=True), ""
    labels = chosen_labels(reading, choice)
    return draw_panels(reading, labels, threshold), draw_table(reading, labels, threshold)


def _read_or_reason(read: Callable[[Path], Reading], path: Path) -> Reading | str:
    try:
        return read(path)
    except (ValueError, OSError) as error:
        return one_line(error)


def _uploaded_path(payload: Any) -> str | None:
    return None if payload is None else payload.path


def _as_sent(payload: Any) -> Any:
    return payload


def serve_page(page, *, port: int | None, block: bool = True) -> str:
    """Serve the page on this machine only and return its address; `block` waits until interrupted."""
    gr = import_gradio()
    from starlette.middleware import Middleware

    from lctr_jax.viewer.guard import MAX_UPLOAD_BYTES, Guard

    fonts = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Default(primary_hue="blue", font=fonts[0], font_mono=fonts[1])
    with _without_proxies():  # Gradio requests its own page, which must not go through a proxy
        _, address, _ = page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            ssr_mode=False,
            prevent_thread_lock=True,
            footer_links=[],
            max_file_size=MAX_UPLOAD_BYTES,
            state_session_capacity=_MAX_PAGES,
            app_kwargs={"middleware": [Middleware(Guard)]},
            theme=theme,
            css=STYLE,
        )
    if block:
        page.block_thread()
    return address


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Hide the environment's proxies, since the page only communicates with this machine."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in _PROXIES}
    try:
        yield
    finally:
        os.environ.update(hidden)


def chosen_labels(reading: Reading, choice: int) -> list[int]:
    """Return the classes to box; the maps of the first one are shown."""
    if choice == PREDICTED_CLASS:
        return reading.ranking[:1]
    return reading.ranking[:5] if choice == TOP_FIVE else [choice]


def import_gradio():
    """Import Gradio with telemetry and version checks disabled.

    Raises:
        ModuleNotFoundError: Gradio is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        with _without_proxies():  # importing creates HTTP clients, which fail for some proxies
            import gradio
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the demo needs gradio: pip install -e '.[demo]'") from error
    return gradio

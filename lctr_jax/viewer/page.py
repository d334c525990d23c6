"""The page itself, in Gradio: it asks for nothing beyond its own server."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from lctr_jax.localization.thresholds import Threshold
from lctr_jax.viewer.drawing import STYLE, draw_panels, draw_table
from lctr_jax.viewer.reading import Reading

BEST, TOP_FIVE = -1, -2  # what may be chosen beside a class

_EMPTY = '<div class="lctr-empty">Drop in an image, or choose an example.</div>'
_HIGHEST, _STEP = 0.995, 0.005  # gray levels are 0.004 apart
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_KEEP = (3600, 3600)  # seconds: how often dropped images are cleared away, and how old they must be


def build_page(
    read: Callable[[Image.Image], Reading],
    *,
    class_names: Sequence[str],
    threshold: float,
    examples: Sequence[Path],
    about: str,
):
    """A Gradio page around `read`, which is called once an image; all else is drawn from what it returned.

    Raises:
        ModuleNotFoundError: Gradio is not installed.
    """
    gr = import_gradio()
    choices = [("the predicted class", BEST), ("the five most likely", TOP_FIVE)]
    choices += [(name, label) for label, name in enumerate(class_names)]

    def look(image: Image.Image | None, choice: int, tau: float):
        reading = None if image is None else read(image)
        return reading, *draw(reading, choice, tau)

    def draw(reading: Reading | None, choice: int, tau: float) -> tuple[str, str]:
        if reading is None:
            return _EMPTY, ""
        labels = chosen_labels(reading, choice)
        return draw_panels(reading, labels, Threshold(tau)), draw_table(reading, labels, Threshold(tau))

    with gr.Blocks(title="lctr_jax", analytics_enabled=False, delete_cache=_KEEP) as page:
        reading = gr.State()
        gr.Markdown(f"# What the network boxes\n{about}")
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                image = gr.Image(
                    type="pil", sources=["upload", "clipboard"], label="Image", height=220, elem_id="image"
                )
                choice = gr.Dropdown(choices, value=BEST, label="Box", elem_id="choice")
                tau = gr.Slider(
                    0,
                    _HIGHEST,
                    threshold,
                    step=_STEP,
                    label="Threshold",
                    buttons=["reset"],
                    elem_id="threshold",
                )
                if examples:
                    paths = [str(path) for path in examples]
                    gr.Examples(paths, image, examples_per_page=len(paths), cache_examples=False)
            with gr.Column(scale=5, min_width=320):
                panels = gr.HTML(_EMPTY, elem_id="panels")
                table = gr.HTML(elem_id="table")
        image.change(look, [image, choice, tau], [reading, panels, table], show_progress="hidden")
        gr.on(
            [choice.change, tau.change],
            draw,
            [reading, choice, tau],
            [panels, table],
            show_progress="hidden",
            trigger_mode="always_last",
        )
    return page


def serve_page(page, *, port: int | None, block: bool = True) -> str:
    """Serve it to this machine alone, until interrupted if it is to block; returns its address."""
    gr = import_gradio()
    fonts = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Default(primary_hue="blue", font=fonts[0], font_mono=fonts[1])
    with _without_proxies():  # Gradio asks the page for itself, which no proxy can answer
        _, address, _ = page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            ssr_mode=False,
            prevent_thread_lock=True,
            footer_links=[],
            theme=theme,
            css=STYLE,
        )
    if block:
        page.block_thread()
    return address


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Hide the environment's proxies: the page speaks to this machine alone."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in _PROXIES}
    try:
        yield
    finally:
        os.environ.update(hidden)


def chosen_labels(reading: Reading, choice: int) -> list[int]:
    """The classes to box, the first being the one whose maps are shown."""
    if choice == BEST:
        return reading.ranking[:1]
    return reading.ranking[:5] if choice == TOP_FIVE else [choice]


def import_gradio():
    """Gradio, told to keep to itself before it can ask its makers for the newest version.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        with _without_proxies():  # it makes its HTTP clients on import, and httpx refuses some proxies
            import gradio
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the page needs gradio: pip install -e '.[demo]'") from error
    return gradio

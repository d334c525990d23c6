"""Interactive demo of a network in a browser on this machine.

python -m lctr_jax.demo --checkpoint PATH [--examples IMAGE_OR_FOLDER...] [--data-dir DIR] [--port N]

Upload an image, choose a class or the five most likely ones, and move the threshold: map, boxes and
foreground change immediately, since the network runs only once per image. Without --examples, the page offers
images of the data set that the checkpoint was trained on, if it is prepared (digits are generated). Needs
Gradio, pip install -e '.[demo]', and no network access.
"""

import argparse
import dataclasses
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from lctr_jax.checkpoints.store import find_checkpoint
from lctr_jax.command_line import ArgumentParser
from lctr_jax.data.data_config import DataOptions
from lctr_jax.data.geometry import Geometry, GeometryProtocol
from lctr_jax.data.image_decoding import RgbPixels
from lctr_jax.data.samples import decode_record
from lctr_jax.errors import one_line, one_line_errors
from lctr_jax.host.paths import path_argument, text_argument
from lctr_jax.inference.image_search import count_images, find_images
from lctr_jax.inference.images import read_upright
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.inference.result import NotFiniteError
from lctr_jax.inference.threshold import PUBLISHED, PUBLISHED_THRESHOLD, resolve_threshold
from lctr_jax.json_objects import describe_value, read_object
from lctr_jax.models.normalization import normalize
from lctr_jax.report.overlay import reduce_to
from lctr_jax.report.selection import spread_evenly
from lctr_jax.run.experiment import open_data
from lctr_jax.viewer.demo_page import build_page, import_gradio, serve_page
from lctr_jax.viewer.reading import MAX_PHOTO_SIDE, Reading

NUM_EXAMPLES = 12


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: serve until interrupted."""
    options = _parser().parse_args(arguments)
    import_gradio()
    model = load(options.checkpoint)
    choice = resolve_threshold(options.threshold, model.folder)
    threshold, source = (
        (PUBLISHED_THRESHOLD, PUBLISHED) if choice.tau is None else (choice.tau, choice.source)
    )
    with tempfile.TemporaryDirectory() as folder:
        if options.examples:
            count_images(options.examples, out=Path(folder))
            examples = list(itertools.islice(find_images(options.examples, out=Path(folder)), NUM_EXAMPLES))
        else:
            examples = write_examples(options.checkpoint, Path(folder), data_dir=options.data_dir)
        page = build_demo(
            model, geometry=options.geometry, threshold=threshold, source=source, examples=examples
        )
        print(f"threshold {threshold:.3g}: {source}", file=sys.stderr)
        serve_page(page, port=options.port)


def build_demo(
    model: LoadedModel,
    *,
    geometry: GeometryProtocol,
    threshold: float,
    source: str = "",
    examples: Sequence[Path],
):
    """Build the page of a network, after compiling and checking it with a first image.

    Args:
        model: the network.
        geometry: how an image becomes the network's square input.
        threshold: initial threshold.
        source: origin of this threshold, shown on the page.
        examples: image files offered on the page.
    """
    spec = model.spec
    frame = Geometry(protocol=geometry, image_size=spec.image_size)
    names = model.class_names or tuple(str(label) for label in range(spec.num_classes))

    def read(path: Path) -> Reading:
        return read_image(model, read_upright(path), geometry=frame, class_names=names)

    black = np.zeros((spec.image_size, spec.image_size, 3), np.uint8)
    try:
        read_image(model, black, geometry=frame, class_names=names)
    except NotFiniteError as error:
        print(f"warning: {one_line(error)}", file=sys.stderr)
    about = f"{spec.method.upper()}, {spec.num_classes} classes, images of {spec.image_size} pixels."
    about += f" Threshold {threshold:.3g}: {source}." if source else ""
    return build_page(read, class_names=names, threshold=threshold, examples=examples, about=about)


def read_image(
    model: LoadedModel, image: RgbPixels, *, geometry: Geometry, class_names: Sequence[str]
) -> Reading:
    """Run the network on an RGB image, for the maps of all classes at once.

    Raises:
        NotFiniteError: the network's output contains NaN or infinity.
    """
    frame = geometry.transform_image(image)
    every_class = np.arange(model.spec.num_classes, dtype=np.int32)
    output = jax.device_get(model(normalize(jnp.asarray(frame[None])), every_class[None]))
    with np.errstate(over="ignore", invalid="ignore"):  # reported below
        shown = (output.logits, output.relation_map, output.class_map, output.localization_map)
    if not all(np.isfinite(values).all() for values in shown):
        raise NotFiniteError(
            "the network's output is not finite (NaN or infinity): its weights have diverged or are damaged; "
            "choose another checkpoint"
        )
    height, width = image.shape[:2]
    return Reading(
        photo=reduce_to(image, MAX_PHOTO_SIDE),
        width=width,
        height=height,
        geometry=geometry,
        class_names=class_names,
        probability=np.asarray(jax.nn.softmax(output.logits[0])),
        relation_map=output.relation_map[0],
        class_maps=output.class_map[0],
        localization_maps=output.localization_map[0],
    )


def write_examples(checkpoint: str, folder: Path, *, data_dir: str | None) -> list[Path]:
    """Write images of the split that a run was evaluated on, one or two per class, to `folder`.

    Returns an empty list if the checkpoint is not part of a run, or if its config or data set cannot be read,
    which is reported on stderr.
    """
    config = Path(find_checkpoint(checkpoint)).parents[1] / "config.json"
    if not config.is_file():
        return []
    try:
        data, split_name = _read_data_options(config)
        split = open_data(dataclasses.replace(data, data_dir=data_dir or data.data_dir), split_name)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"no examples: {one_line(error)}", file=sys.stderr)
        return []
    written = []
    for index in spread_evenly(len(split), most=NUM_EXAMPLES):
        written.append(folder / f"{index}_{split[index]['label']}.png")
        Image.fromarray(decode_record(split[index])).save(written[-1])
    return written


def _read_data_options(config: Path) -> tuple[DataOptions, str]:
    """Read a run's data set and evaluated split from its `config.json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it was not written by a run.
    """
    groups = read_object(config)
    data, evaluation = (groups.get(name) for name in ("data", "eval"))
    split = evaluation.get("split") if isinstance(evaluation, dict) else None
    expected = dataclasses.asdict(DataOptions())
    if not isinstance(data, dict) or not isinstance(split, str) or not data.keys() <= expected.keys():
        raise ValueError(f"{config}: expected the options of a run, with data and eval.split")
    options = {name: value for name, value in data.items() if name != "num_workers"}  # for training only
    for name, value in options.items():
        if not _is_like(value, expected[name]):
            raise ValueError(
                f"{config}: data.{name}: got {describe_value(value)}, expected an option of a run"
            )
    return DataOptions(**options), split


def _is_like(value: object, written: str | dict[str, str]) -> bool:
    """Return whether the value is a string, or an object of strings, like the option's default."""
    if isinstance(written, dict):
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    return isinstance(value, str)


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--checkpoint",
        type=text_argument,
        required=True,
        metavar="PATH",
        help="a checkpoint of the converter, or a run's folder",
    )
    parser.add_argument(
        "--examples", type=path_argument, nargs="+", default=[], metavar="IMAGE_OR_FOLDER",
        help=f"example images, the first {NUM_EXAMPLES}; by default some of the run's data set",
    )  # fmt: skip
    parser.add_argument(
        "--data-dir",
        type=text_argument,
        metavar="DIR",
        help="where that data set is prepared, if not in the run's data folder",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="initial threshold; default as in predict"
    )
    parser.add_argument(
        "--geometry",
        choices=("wsoleval", "lctr"),
        default="wsoleval",
        help="resize the whole image to the network's square input, or use its center crop",
    )
    parser.add_argument("--port", type=int, metavar="N", help="by default the first free port from 7860 on")
    return parser


if __name__ == "__main__":
    main()

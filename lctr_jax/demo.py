"""A page to try a network on, in the browser of this machine.

python -m lctr_jax.demo --checkpoint PATH [--examples IMAGE_OR_FOLDER...] [--data-dir DIR] [--port N]

Drop in an image, choose a class or the five most likely, move the threshold: map, boxes and what is above the
threshold follow at once, for the network is run once an image. Without --examples the page offers pictures of
the data set that the checkpoint was trained on, where that is prepared (digits are made on the spot). Needs
Gradio, and no network: pip install -e '.[demo]'.
"""

import argparse
import itertools
import json
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
from lctr_jax.data.datasets import open_split
from lctr_jax.data.geometry import Geometry, Protocol
from lctr_jax.data.samples import decode_record
from lctr_jax.errors import one_line, one_line_errors
from lctr_jax.host.paths import path_argument, text_argument
from lctr_jax.inference.image_search import count_images, find_images
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.inference.threshold import choose_threshold
from lctr_jax.models.normalization import normalize
from lctr_jax.viewer.page import build_page, import_gradio, serve_page
from lctr_jax.viewer.reading import Reading

NUM_EXAMPLES = 12


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: serve until interrupted."""
    options = _parser().parse_args(arguments)
    import_gradio()
    model = load(options.checkpoint)
    threshold, source = choose_threshold(options.threshold, options.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        if options.examples:
            count_images(options.examples, out=Path(folder))
            examples = list(itertools.islice(find_images(options.examples, out=Path(folder)), NUM_EXAMPLES))
        else:
            examples = write_examples(options.checkpoint, Path(folder), data_dir=options.data_dir)
        page = build_demo(model, geometry=options.geometry, threshold=threshold.tau, examples=examples)
        print(f"threshold {threshold.tau:.3g}: {source}", file=sys.stderr)
        serve_page(page, port=options.port)


def build_demo(model: LoadedModel, *, geometry: Protocol, threshold: float, examples: Sequence[Path]):
    """The page of a network; its first image is compiled for and seen before anybody waits."""
    spec = model.spec
    frame = Geometry(protocol=geometry, image_size=spec.image_size)
    names = model.class_names or tuple(str(label) for label in range(spec.num_classes))

    def read(image: Image.Image) -> Reading:
        return read_image(model, image.convert("RGB"), geometry=frame, class_names=names)

    read(Image.new("RGB", (spec.image_size, spec.image_size)))
    about = f"{spec.method.upper()}, {spec.num_classes} classes, images of {spec.image_size} pixels."
    return build_page(read, class_names=names, threshold=threshold, examples=examples, about=about)


def read_image(
    model: LoadedModel, image: Image.Image, *, geometry: Geometry, class_names: Sequence[str]
) -> Reading:
    """Run the network on an RGB image, for the maps of all classes at once."""
    frame = geometry.transform_image(image)
    every_class = np.arange(model.spec.num_classes, dtype=np.int32)
    output = jax.device_get(model(normalize(jnp.asarray(frame[None])), every_class[None]))
    return Reading(
        image=np.asarray(image),
        geometry=geometry,
        class_names=class_names,
        probability=np.asarray(jax.nn.softmax(output.logits[0])),
        relation_map=output.relation_map[0],
        class_maps=output.class_map[0],
        localization_maps=output.localization_map[0],
    )


def write_examples(checkpoint: str, folder: Path, *, data_dir: str | None) -> list[Path]:
    """Pictures of the evaluated split of a run's data set, one or two a class, written to `folder`.

    None where the checkpoint is no run's, or its data set is not there, which stderr then says.
    """
    run = Path(find_checkpoint(checkpoint)).parents[1]
    if not (run / "config.json").is_file():
        return []
    config = json.loads((run / "config.json").read_text())
    data = DataOptions(**config["data"] | ({} if data_dir is None else {"data_dir": data_dir}))
    boxes = {split: path for split, path in data.boxes.items() if path}
    try:
        split = open_split(
            data.name,
            config["eval"]["split"],
            data_dir=data.data_dir,
            root=data.root or None,
            boxes=boxes,
            exif=data.exif,
        )
    except (ValueError, OSError) as error:
        print(f"no examples: {one_line(error)}", file=sys.stderr)
        return []
    written = []
    for index in np.linspace(0, len(split) - 1, min(NUM_EXAMPLES, len(split))).astype(int).tolist():
        image = decode_record(split[index])
        written.append(folder / f"{index}_{split[index]['label']}.png")
        image.save(written[-1])
    return written


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--checkpoint",
        type=text_argument,
        required=True,
        metavar="PATH",
        help="the converter's, or a run's folder",
    )
    parser.add_argument(
        "--examples", type=path_argument, nargs="+", default=[], metavar="IMAGE_OR_FOLDER",
        help=f"images to offer, the first {NUM_EXAMPLES}; by default some of the run's data set",
    )  # fmt: skip
    parser.add_argument(
        "--data-dir",
        type=text_argument,
        metavar="DIR",
        help="where that data set is prepared, if not where the run had it",
    )
    parser.add_argument("--threshold", type=float, metavar="T", help="to start at; as predict's unless given")
    parser.add_argument(
        "--geometry",
        choices=("wsoleval", "lctr"),
        default="wsoleval",
        help="the whole image squeezed into the network's square, or its middle",
    )
    parser.add_argument("--port", type=int, metavar="N", help="the first free one from 7860 unless given")
    return parser


if __name__ == "__main__":
    main()

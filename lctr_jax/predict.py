"""Classes, boxes and maps of one's own images, from any checkpoint.

    python -m lctr_jax.predict --checkpoint PATH --out DIR IMAGE_OR_FOLDER... [options]

Writes to DIR `predictions.jsonl`, a line an image; `NAME_boxes.jpg`, each image under its map with its box;
`index.html`, a page of them all. Boxes are x0 y0 x1 y1 in the image's own pixels, turned upright as its EXIF
orientation says, which is how viewers show it. Unreadable files are reported and skipped; the exit status is
then 1, and 2 after any other mistake. After an interruption the same command goes on with the images that are
not done.

The whole image is squeezed into the network's square, as the wsoleval protocol has it: nothing at the borders
of a picture that somebody wants boxes on may be lost. `--geometry lctr` is the published evaluation's center
crop, which keeps proportions, but sees and boxes only the middle of the image.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import track

from lctr_jax.checkpoints.store import find_checkpoint
from lctr_jax.command_line import ArgumentParser
from lctr_jax.data.geometry import Geometry
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_folder_destination, text_argument
from lctr_jax.inference.image_search import count_images, find_images
from lctr_jax.inference.images import read_batches
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.threshold import choose_threshold
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.prediction_folder import PredictionFolder


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits 1 if an image could not be read."""
    options = _parser().parse_args(arguments)
    require_folder_destination(options.out)
    total = count_images(options.images, out=options.out)
    model = load(options.checkpoint)
    threshold, source = choose_threshold(options.threshold, options.checkpoint)
    localizer = Localizer(
        model,
        geometry=Geometry(protocol=options.geometry, image_size=model.spec.image_size),
        threshold=threshold,
        classes=options.classes.split(",") if options.classes else (),
        batch_size=options.batch_size,
    )
    facts = {"threshold": threshold.tau, "threshold_source": source, "geometry": options.geometry}
    unreadable: dict[str, str] = {}
    settings = {"checkpoint": str(find_checkpoint(options.checkpoint)), "classes": options.classes, **facts}
    files = [path for path in options.images if not path.is_dir()]
    with (
        _interruption_told(),
        PredictionFolder(options.out, total=total, keep=files, facts=facts, settings=settings) as folder,
    ):
        if folder.num_done:
            print(f"resuming: {folder.num_done} of {total} images are done", file=sys.stderr)
        paths = folder.skip_done(find_images(options.images, out=options.out))
        batches = read_batches(paths, batch_size=localizer.batch_size, unreadable=unreadable)
        num_batches = -(-(total - folder.num_done) // localizer.batch_size)
        for images in track(batches, "localizing", total=num_batches, console=Console(stderr=True)):
            for path, prediction in zip(images, localizer(list(images.values())), strict=True):
                folder.add(path, prediction)
        made_with = {"checkpoint": options.checkpoint, **facts, **describe_environment()}
        folder.write_page(unreadable=unreadable, facts=made_with)
    print(f"{total - len(unreadable)} images: {options.out / 'index.html'}", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


@contextmanager
def _interruption_told() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted: what is written stays; the same command goes on from there", file=sys.stderr)
        raise SystemExit(130) from None


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.predict", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("images", type=path_argument, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument(
        "--checkpoint",
        type=text_argument,
        required=True,
        metavar="PATH",
        help="the converter's, or a run's folder",
    )
    parser.add_argument(
        "--out", type=path_argument, required=True, metavar="DIR", help="where the results go"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="share of the map's maximum; by default that of the run's evaluation, else 0.09",
    )
    parser.add_argument(
        "--classes", metavar="NAME,NAME", help="box these classes, names or numbers, not the predicted one"
    )
    parser.add_argument("--geometry", choices=("wsoleval", "lctr"), default="wsoleval", help="see above")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    return parser


if __name__ == "__main__":
    main()

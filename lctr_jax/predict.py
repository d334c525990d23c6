"""Localize objects in images with any checkpoint.

    python -m lctr_jax.predict --checkpoint PATH --out DIR IMAGE_OR_FOLDER... [options]

Writes to DIR `predictions.jsonl`, one line per image; `NAME_boxes.jpg`, each image with its localization
map and boxes; `index.html`, a page of all images; and with --annotations the boxes in the formats of
annotation tools, in DIR/annotations. Boxes are x0 y0 x1 y1 in pixels of the image after its EXIF rotation.
Unreadable files are reported and skipped, and the exit status is then 1; it is 2 after any other error.
After an interruption the same command continues with the images that are missing.

By default the whole image is resized to the network's square input, as in the wsoleval protocol, so that
nothing at its borders is lost. `--geometry lctr` uses the published evaluation's center crop, which keeps
the aspect ratio but covers only the middle of the image.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import track

from lctr_jax.annotations.formats import FORMATS, parse_formats, write_annotations
from lctr_jax.checkpoints.store import find_checkpoint
from lctr_jax.command_line import ArgumentParser
from lctr_jax.data.geometry import Geometry
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_folder_destination, text_argument
from lctr_jax.inference.coverage import Coverage
from lctr_jax.inference.image_search import count_images, find_images, relative_name
from lctr_jax.inference.images import read_batches
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer, folder_label
from lctr_jax.inference.threshold import resolve_threshold
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.prediction_folder import PredictionFolder


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with status 1 if an image could not be read."""
    options = _parser().parse_args(arguments)
    require_folder_destination(options.out)
    formats = parse_formats(options.annotations)
    total = count_images(options.images, out=options.out)
    model = load(options.checkpoint)
    threshold, source = resolve_threshold(options.threshold, options.checkpoint)
    by_folder = options.classes == "folder"
    localizer = Localizer(
        model,
        geometry=Geometry(protocol=options.geometry, image_size=model.spec.image_size),
        threshold=threshold,
        classes=options.classes.split(",") if options.classes and not by_folder else (),
        top=options.top,
        boxes=options.boxes,
        min_area=options.min_area,
        batch_size=options.batch_size,
    )
    print(f"threshold {threshold.tau:.3g}: {source}", file=sys.stderr)
    facts = {"threshold": threshold.tau, "threshold_source": source, "geometry": options.geometry}
    unreadable: dict[str, str] = {}
    asked = {name: getattr(options, name) for name in ("classes", "top", "boxes", "min_area")}
    settings = {"checkpoint": str(find_checkpoint(options.checkpoint)), **asked, **facts}
    coverage = Coverage()
    files = [path for path in options.images if not path.is_dir()]
    with (
        _report_interruption(),
        PredictionFolder(options.out, total=total, keep=files, facts=facts, settings=settings) as folder,
    ):
        if folder.num_done:
            print(f"resuming: {folder.num_done} of {total} images are done", file=sys.stderr)
        paths = folder.skip_done(find_images(options.images, out=options.out))
        batches = read_batches(paths, batch_size=localizer.batch_size, unreadable=unreadable)
        num_batches = -(-(total - folder.num_done) // localizer.batch_size)
        for images in track(batches, "localizing", total=num_batches, console=Console(stderr=True)):
            labels = [folder_label(path, model.class_names) for path in images] if by_folder else None
            for path, prediction in zip(images, localizer(list(images.values()), labels), strict=True):
                folder.add(path, prediction, file=relative_name(path, options.images))
                coverage.add(prediction)
        made_with = {"checkpoint": options.checkpoint, **facts, **describe_environment()}
        folder.write_page(unreadable=unreadable, facts=made_with)
    if formats:
        names = model.class_names or tuple(str(label) for label in range(model.spec.num_classes))
        for path in write_annotations(
            options.out / "annotations",
            options.out / "predictions.jsonl",
            formats=formats,
            class_names=names,
        ):
            print(path, file=sys.stderr)
    if warning := coverage.describe(threshold=threshold.tau, source=source):
        print(warning, file=sys.stderr)
    print(f"{total - len(unreadable)} images: {options.out / 'index.html'}", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


@contextmanager
def _report_interruption() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; repeat the command to continue", file=sys.stderr)
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
        help="a checkpoint of the converter, or a run's folder",
    )
    parser.add_argument(
        "--out", type=path_argument, required=True, metavar="DIR", help="folder of the results"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="fraction of the map's maximum; by default that of the run's evaluation, otherwise 0.09",
    )
    parser.add_argument(
        "--classes",
        metavar="NAME,..|folder",
        help="localize these classes, names or indices, instead of the predicted one; "
        "folder: the class named by the image's folder",
    )
    parser.add_argument("--top", type=int, default=1, metavar="K", help="localize the K most likely classes")
    parser.add_argument(
        "--boxes",
        choices=("largest", "all"),
        default="largest",
        help="one box per class, of its largest region, or one per connected region",
    )
    parser.add_argument(
        "--min-area",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="ignore regions smaller than this share of the image",
    )
    parser.add_argument(
        "--annotations",
        default="",
        metavar="FORMAT,..",
        help=f"also write DIR/annotations in these formats: {','.join(FORMATS)}",
    )
    parser.add_argument("--geometry", choices=("wsoleval", "lctr"), default="wsoleval", help="see above")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    return parser


if __name__ == "__main__":
    main()

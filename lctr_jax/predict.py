"""Localize objects in images with any checkpoint.

    python -m lctr_jax.predict --checkpoint PATH --out DIR IMAGE_OR_FOLDER_OR_VIDEO... [options]

Writes to DIR `predictions.jsonl`, one line per image; `overlays/`, each image with its localization map
and boxes; `index.html`, a page of all images; with --annotations the boxes in the formats of annotation
tools, in DIR/annotations; and with --save crops, masks or score maps. Boxes are x0 y0 x1 y1 in pixels of the
image after its EXIF rotation. Unreadable files are reported and skipped, and the exit status is then 1; it is
2 after any other error. After an interruption the same command continues with the images that are missing.

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
from lctr_jax.command_line import ArgumentParser
from lctr_jax.data.geometry import Geometry
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_folder_destination, text_argument
from lctr_jax.inference.batched_localization import FolderLabels, localize_batches
from lctr_jax.inference.coverage import Coverage
from lctr_jax.inference.images import read_batches
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.prediction_inputs import PredictionInputs
from lctr_jax.inference.threshold import CALIBRATE, ThresholdChoice, resolve_threshold
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.prediction_folder import PredictionFolder
from lctr_jax.report.redraw import BoxRules
from lctr_jax.report.saved_parts import PARTS, parse_parts
from lctr_jax.report.threshold_page import MAX_IMAGES, parse_thresholds, spread, write_threshold_page


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with status 1 if an image could not be read."""
    options = _parser().parse_args(arguments)
    require_folder_destination(options.out)
    formats = parse_formats(options.annotations)
    parse_thresholds(options.thresholds)  # to report an error before anything is loaded
    parts = parse_parts(options.save, geometry=options.geometry)
    inputs = PredictionInputs(options.images, out=options.out, every=options.every)
    model = load(options.checkpoint)
    threshold = resolve_threshold(options.threshold, model.folder)
    localizer = _localizer(model, threshold, options)
    if options.thresholds:
        _compare_thresholds(localizer, threshold, inputs, options)
        return
    print(threshold.describe(), file=sys.stderr)
    if threshold.tau is None:
        print(CALIBRATE, file=sys.stderr)
    facts = {"threshold_source": threshold.source, "geometry": options.geometry}
    asked = {name: getattr(options, name) for name in ("classes", "top", "boxes", "min_area", "every")}
    settings = {"checkpoint": str(model.folder), "threshold": threshold.tau, "save": parts, **asked, **facts}
    unreadable: dict[str, str] = {}
    coverage, labels = Coverage(), FolderLabels(model) if options.classes == "folder" else None
    with (
        _report_interruption(),
        PredictionFolder(
            options.out,
            total=inputs.count,
            facts=facts,
            rules=BoxRules(
                image_size=model.spec.image_size,
                all_regions=options.boxes == "all",
                min_area=options.min_area,
            ),
            settings=settings,
            save=parts,
            by_class=options.top > 1 or "," in (options.classes or ""),
        ) as folder,
    ):
        if folder.num_done:
            print(f"resuming: {folder.num_done} of {inputs.count} images are done", file=sys.stderr)
        remaining = folder.skip_done(inputs.find(unreadable))
        batches = read_batches(remaining, batch_size=localizer.batch_size, unreadable=unreadable)
        num_batches = -(-(inputs.count - folder.num_done) // localizer.batch_size)
        results = localize_batches(localizer, batches, labels=labels, unreadable=unreadable)
        for batch in track(results, "localizing", total=num_batches, console=Console(stderr=True)):
            folder.add(batch)
            for _, prediction in batch:
                coverage.add(prediction)
        shown = {"threshold": "of each map" if threshold.tau is None else threshold.tau, **facts}
        made_with = {"checkpoint": options.checkpoint, **shown, **describe_environment()}
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
    for warning in (labels and labels.describe(), coverage.describe(threshold.describe())):
        if warning:
            print(warning, file=sys.stderr)
    print(f"{folder.count} images: {options.out / 'index.html'}", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


def _compare_thresholds(
    localizer: Localizer, default: ThresholdChoice, inputs: PredictionInputs, options: argparse.Namespace
) -> None:
    """Write `thresholds.html` with a few images, spread evenly over all inputs."""
    columns = {f"{threshold.tau:g}": threshold for threshold in parse_thresholds(options.thresholds)}
    shown, unreadable = spread(inputs.count), {}
    few = (given for number, given in enumerate(inputs.find(unreadable)) if number in shown)
    batches = read_batches(few, batch_size=localizer.batch_size, unreadable=unreadable)
    results = localize_batches(localizer, batches, unreadable=unreadable)
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / "thresholds.html"
    write_threshold_page(
        page,
        ((given.file, prediction) for batch in results for given, prediction in batch),
        rules={f"default ({default.short})": default.rule, **columns},
        geometry=localizer.geometry,
    )
    print(f"{page}; then predict with the --threshold that fits best", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


def _localizer(model: LoadedModel, threshold: ThresholdChoice, options: argparse.Namespace) -> Localizer:
    by_name = options.classes and options.classes != "folder"
    return Localizer(
        model,
        geometry=Geometry(protocol=options.geometry, image_size=model.spec.image_size),
        threshold=threshold.rule,
        classes=options.classes.split(",") if by_name else (),
        top=options.top,
        boxes=options.boxes,
        min_area=options.min_area,
        batch_size=options.batch_size,
    )


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
    parser.add_argument("images", type=path_argument, nargs="+", metavar="IMAGE_OR_FOLDER_OR_VIDEO")
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
        help="fraction of the map's maximum; by default the calibrated one, otherwise that of the run's "
        "evaluation, otherwise each map's own",
    )
    parser.add_argument(
        "--thresholds",
        default="",
        metavar="T,..",
        help=f"only write DIR/thresholds.html: up to {MAX_IMAGES} images at these thresholds, side by side",
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
    parser.add_argument(
        "--save",
        default="",
        metavar="PART,..",
        help=f"also write {','.join(PARTS)}, in folders of these names",
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="use every N-th frame of videos, also of those in folders; by default every 30th, and videos "
        "in folders are ignored",
    )
    parser.add_argument("--geometry", choices=("wsoleval", "lctr"), default="wsoleval", help="see above")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    return parser


if __name__ == "__main__":
    main()

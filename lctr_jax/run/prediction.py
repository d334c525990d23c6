"""Prediction over images, folders and videos, as the command line `lctr_jax.predict` asks for it."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import track

from lctr_jax.annotations.formats import parse_formats, write_annotations
from lctr_jax.data.geometry import Geometry
from lctr_jax.inference.batched_localization import FolderLabels, localize_batches
from lctr_jax.inference.coverage import Coverage
from lctr_jax.inference.images import read_batches
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.inference.prediction_inputs import PredictionInputs
from lctr_jax.inference.threshold import CALIBRATE, ThresholdChoice, resolve_threshold
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.prediction_folder import PredictionFolder
from lctr_jax.report.prediction_options import MAX_IMAGES
from lctr_jax.report.redraw import BoxRules
from lctr_jax.report.saved_parts import parse_parts
from lctr_jax.report.selection import spread_evenly
from lctr_jax.report.threshold_page import parse_thresholds, write_threshold_page


def predict(options: argparse.Namespace) -> None:
    """Localize objects and write the results to `options.out`.

    Raises:
        ValueError: an option is invalid, or the checkpoint does not fit it.
        OSError: an input does not exist, or a file cannot be written.
        SystemExit: with status 1, an image could not be read; with 130, the user interrupted.
    """
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
    shown, unreadable = frozenset(spread_evenly(inputs.count, most=MAX_IMAGES)), {}
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

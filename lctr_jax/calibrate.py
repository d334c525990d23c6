"""Choose a checkpoint's threshold on a few images with boxes.

    python -m lctr_jax.calibrate --checkpoint PATH --images DIR --boxes LIST [options]

LIST is a box list in any supported format: LCTR's, wsoleval's, CSV, COCO or Pascal VOC. The threshold with
the best box accuracy (IoU at least 0.5) on its images is stored in the checkpoint's folder, with its 95 %
interval, and `lctr_jax.predict` uses it from then on. Twenty boxes give a usable threshold; the interval
shows how certain it is.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from lctr_jax.checkpoints.stored_calibration import FILE, read_calibration, write_calibration
from lctr_jax.command_line import ArgumentParser
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.notes import some
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, text_argument
from lctr_jax.inference.box_accuracy import MeasuredMap, TrueImage, measure_maps
from lctr_jax.inference.box_truth import BoxTruth, join_boxes, read_boxed
from lctr_jax.inference.calibration import LOCATED, calibrate
from lctr_jax.inference.loading import LoadedModel, load
from lctr_jax.inference.localizer import Localizer, folder_label
from lctr_jax.inference.threshold import DEFAULT, default_rule


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    model = load(options.checkpoint)
    folder = model.folder
    assert folder is not None  # as the network was loaded from a file
    truth = join_boxes(
        options.images, options.boxes, class_names=model.class_names, any_class=options.any_class
    )
    print(f"{options.boxes}: {some(truth.num_boxes, 'box')} of {some(len(truth.images), 'image')}")
    for note in truth.notes:
        print(note)
    geometry = Geometry(protocol=options.geometry, image_size=model.spec.image_size)
    localizer = Localizer(model, geometry=geometry, threshold=DEFAULT.rule, batch_size=options.batch_size)
    true_images = _true_images(truth, model, options)
    measured = list(measure_maps(localizer, true_images, geometry=geometry))
    calibration = calibrate(
        measured, source=str(options.boxes), num_boxes=truth.num_boxes, geometry=options.geometry
    )
    if before := _read_earlier(folder):
        print(f"replaced: {before}")
    path = write_calibration(folder, calibration)
    low, high = calibration.box_accuracy_interval_95
    print(f"threshold {calibration.threshold:.3g}: {calibration.describe()}")
    print(
        f"box accuracy: {calibration.box_accuracy:.1f} % (95 % interval {low:.1f} to {high:.1f}) on the "
        f"images that it was chosen on; without calibration {_default_accuracy(measured):.1f} %"
    )
    print(f"written: {path}")


def _true_images(truth: BoxTruth, model: LoadedModel, options: argparse.Namespace) -> Iterator[TrueImage]:
    upright, by_folder, num_rotated = options.exif == "upright", options.classes == "folder", 0
    for boxed in truth.images:
        image, rotated = read_boxed(boxed, upright=upright)
        num_rotated += rotated
        label = folder_label(boxed.path, model.class_names) if by_folder else None
        yield TrueImage(str(boxed.path), image, boxed.boxes_xyxy, label)
    if num_rotated:
        how = "rotated upright" if upright else "read as stored, to which their boxes are assumed to refer"
        print(f"{some(num_rotated, 'image')} with an EXIF rotation, {how} (--exif)")


def _default_accuracy(measured: Sequence[MeasuredMap]) -> float:
    located = [image.iou_by_cut[default_rule(image.levels).cut] >= LOCATED for image in measured]
    return 100 * sum(located) / len(located)


def _read_earlier(folder: Path) -> str | None:
    """Describe an earlier calibration, which may be damaged."""
    try:
        earlier = read_calibration(folder)
    except ValueError as error:
        return str(error).partition(";")[0]
    return earlier and f"threshold {earlier.threshold:.3g}, {earlier.describe()}"


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.calibrate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--checkpoint",
        type=text_argument,
        required=True,
        metavar="PATH",
        help=f"a checkpoint of the converter, or a run's folder; {FILE} is written next to its parameters",
    )
    parser.add_argument(
        "--images", type=path_argument, required=True, metavar="DIR", help="the folder of the images"
    )
    parser.add_argument(
        "--boxes",
        type=path_argument,
        required=True,
        metavar="LIST",
        help="a box list, a COCO file, or a folder of Pascal VOC files",
    )
    parser.add_argument(
        "--classes",
        choices=("predicted", "folder"),
        default="predicted",
        help="class whose map is used: the predicted one, or the one named by the image's folder; use the "
        "same value for predictions",
    )
    parser.add_argument(
        "--any-class",
        action="store_true",
        help="also use boxes of classes that the network does not have",
    )
    parser.add_argument(
        "--exif",
        choices=("stored", "upright"),
        default="stored",
        help="whether the boxes were drawn on the pixels as stored (the default) or after the EXIF rotation",
    )
    parser.add_argument(
        "--geometry",
        choices=("wsoleval", "lctr"),
        default="wsoleval",
        help="use the same value for predictions",
    )
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    return parser


if __name__ == "__main__":
    main()

"""Box accuracy at fixed thresholds and by rules, which need no boxes, compared with calibrated thresholds.

python -m benchmarks.threshold_rules --digits RUN [--photographs RUN DIR] [--data-dir DIR] [--json FILE]

RUN is a training run, of configs/digits.py and of configs/folder.py on the images of DIR. Box accuracy is the
percentage of images whose box of the predicted class has an IoU of at least 0.5, in the geometry of
`lctr_jax.predict`. Thresholds are calibrated on images that are not measured: the digits' val split, or
every second image of DIR/val, with boxes from DIR/list/val_boxes.txt; both on all of them and on 20 of them
(mean of 50 draws).
"""

import argparse
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measurement import describe_machine, write_report
from lctr_jax.data.datasets import open_split
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.samples import decode_record
from lctr_jax.host.paths import path_argument
from lctr_jax.inference.box_accuracy import MeasuredMap, TrueImage, measure_maps
from lctr_jax.inference.box_truth import join_boxes, read_boxed
from lctr_jax.inference.calibration import LOCATED, calibrate
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.localization.threshold_rules import MapRule, area_threshold, mass_threshold, otsu_threshold
from lctr_jax.localization.thresholds import Threshold

RULES: dict[str, Threshold | MapRule] = {
    **{f"fixed {tau:g}": Threshold(tau) for tau in (0.09, 0.2, 0.3, 0.4, 0.5, 0.6)},
    "Otsu": otsu_threshold,
    **{
        f"{percent} % of the image": functools.partial(area_threshold, share=percent / 100)
        for percent in (10, 15, 20, 25, 30, 40, 50)
    },
    **{
        f"{percent} % of the map's sum": functools.partial(mass_threshold, share=percent / 100)
        for percent in (30, 40, 50, 60, 70, 80)
    },
}
FEW, DRAWS = 20, 50


class Case(NamedTuple):
    """A network's maps of the images for calibration and of those for measurement."""

    calibration: list[MeasuredMap]
    test: list[MeasuredMap]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    cases = {"digits": digits_case(options.digits, options.data_dir)}
    notes = []
    if options.photographs:
        cases["photographs"] = photographs_case(*options.photographs)
    else:
        notes.append("Photographs are not measured; use --photographs RUN DIR")
    figures = {name: measure_rules(case) for name, case in cases.items()}
    report = {
        "machine": describe_machine("opencv-python-headless"),
        "images": {name: [len(case.calibration), len(case.test)] for name, case in cases.items()},
        "figures": figures,
    }
    write_report(report | {"tables": [table(report)], "notes": notes}, options.json)


def measure_rules(case: Case) -> dict[str, float]:
    """Measure the percentage of test images localized by each rule and calibration."""
    located = {name: accuracy(case.test, rule) for name, rule in RULES.items()}
    located["calibrated on all"] = accuracy(case.test, calibrated(case.calibration))
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        few = rng.choice(len(case.calibration), min(FEW, len(case.calibration)), replace=False)
        draws.append(accuracy(case.test, calibrated([case.calibration[index] for index in few])))
    located[f"calibrated on {FEW} images"] = float(np.mean(draws))
    return located


def calibrated(measured: Sequence[MeasuredMap]) -> Threshold:
    """Return the threshold that `lctr_jax.calibrate` chooses."""
    choice = calibrate(measured, source="", num_boxes=len(measured), geometry="wsoleval")
    return Threshold(choice.threshold)


def accuracy(measured: Sequence[MeasuredMap], rule: Threshold | MapRule) -> float:
    """Return the percentage of images localized at the rule's thresholds."""
    thresholds = (rule if isinstance(rule, Threshold) else rule(image.levels) for image in measured)
    located = [
        image.iou_by_cut[threshold.cut] >= LOCATED
        for image, threshold in zip(measured, thresholds, strict=True)
    ]
    return 100 * float(np.mean(located))


def digits_case(run: Path, data_dir: str) -> Case:
    """Return the maps of the digits' val split, for calibration, and of their test split."""

    def split(name: str) -> Iterator[TrueImage]:
        source = open_split("digits", name, data_dir=data_dir)
        for index in range(len(source)):
            record = source[index]
            yield TrueImage(str(index), decode_record(record), np.asarray(record["boxes_xyxy"], np.float64))

    measure = _measurer(run)
    return Case(measure(split("val")), measure(split("test")))


def photographs_case(run: Path, folder: Path) -> Case:
    """Return the maps of every second image of the val split, for calibration, and of the others."""
    truth = join_boxes(folder / "val", folder / "list" / "val_boxes.txt", class_names=None)
    images = (
        TrueImage(str(boxed.path), read_boxed(boxed, upright=False)[0], boxed.boxes_xyxy)
        for boxed in truth.images
    )
    measured = _measurer(run)(images)
    return Case(measured[::2], measured[1::2])


def _measurer(run: Path) -> Callable[[Iterator[TrueImage]], list[MeasuredMap]]:
    model = load(run)
    geometry = Geometry("wsoleval", model.spec.image_size)
    localizer = Localizer(model, geometry=geometry, threshold=otsu_threshold, batch_size=64)
    return lambda images: list(measure_maps(localizer, images, geometry=geometry))


def table(report: Mapping[str, Any]) -> dict[str, Any]:
    """Format the accuracies as a table with one row per rule."""
    figures = report["figures"]
    columns = [f"{name}, {counts[1]} images" for name, counts in report["images"].items()]
    rules = next(iter(figures.values()))
    return {
        "title": "Images localized (IoU at least 0.5), in percent",
        "columns": ["threshold", *columns],
        "rows": [[rule, *(f"{figures[name][rule]:.1f}" for name in figures)] for rule in rules],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threshold_rules", description=__doc__)
    parser.add_argument("--digits", type=path_argument, required=True, metavar="RUN")
    parser.add_argument("--photographs", type=path_argument, nargs=2, metavar=("RUN", "DIR"))
    parser.add_argument("--data-dir", default="data", metavar="DIR", help="where the digits are prepared")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()

"""Prepare a data set: find its images, check each, and write them as TFDS ArrayRecord shards.

    python -m lctr_jax.prepare cub --data-dir DIR [--source CUB_200_2011.tgz]
    python -m lctr_jax.prepare imagenet --source DIR_OF_ARCHIVES --data-dir DIR
    python -m lctr_jax.prepare tiny_imagenet --source tiny-imagenet-200.zip --data-dir DIR
    python -m lctr_jax.prepare openimages --source dataset/OpenImages --metadata metadata/OpenImages
    python -m lctr_jax.prepare dogs|cars|aircraft --source DIR_OF_ARCHIVES --data-dir DIR
    python -m lctr_jax.prepare folder --source IMAGE_FOLDER --data-dir DIR

With --splits val (cub: --splits test) the training images are not needed: for evaluation alone.

What was found, ignored or guessed is printed. The same command continues after an interruption.
docs/datasets.md says what to download and what is checked.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from rich.console import Console
from rich.table import Table

from lctr_jax.command_line import ArgumentParser
from lctr_jax.data import datasets, preparation
from lctr_jax.data.checks import BadRecordsError
from lctr_jax.data.digits.builder import Digits
from lctr_jax.data.folder.builder import Folder
from lctr_jax.data.published import PUBLISHED_DATASETS
from lctr_jax.data.record_builder import RecordBuilder
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument
from lctr_jax.plugins import is_module_path

_OPTIONS = (
    "boxes",
    "source",
    "metadata",
    "segmentations",
    "heldout",
    "splits",
    "partial",
    "no_decode",
    "exif",
)
_NAMES = ("digits", "folder", *PUBLISHED_DATASETS)


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_options(options)
    for option in _needs(options.name):
        if getattr(options, option) is None:
            parser.error(f"{options.name} needs --{option}")
    data_dir = options.data_dir.resolve()
    try:
        for make_builder in _builders(options, data_dir):
            builders: list[tfds.core.DatasetBuilder] = []
            folder = preparation.prepare(
                lambda: builders.append(make_builder()) or builders[-1],  # noqa: B023 called at once
                data_dir,
                overwrite=options.overwrite,
            )
            print(folder)
            Console().print(_summary(folder))
            if isinstance(builders[-1], RecordBuilder):
                for note in builders[-1].notes:
                    print(note, file=sys.stderr)
    except BadRecordsError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        raise


def _check_options(options: argparse.Namespace) -> None:
    """Refuse options that the data set would ignore.

    Raises:
        ValueError: naming the option.
    """
    takers = {option: [name for name in _NAMES if option in _takes(name)] for option in _OPTIONS}
    for option, names in takers.items():
        if getattr(options, option) and option not in _takes(options.name):
            why = "brings its own" if option == "boxes" else "does not take it"
            raise ValueError(f"--{option}: {options.name} {why}; expected it with {' or '.join(names)} alone")
    split = PUBLISHED_DATASETS[options.name].boxes_of if options.name in PUBLISHED_DATASETS else None
    if split and (other := set(dict(options.boxes)) - {split}):
        raise ValueError(f"--boxes: got a list of {min(other)}; {options.name} takes one of {split} alone")


def _takes(name: str) -> tuple[str, ...]:
    """Return the options that a data set takes, besides those about writing."""
    if name in PUBLISHED_DATASETS:
        return ("source", "partial", "no_decode", *PUBLISHED_DATASETS[name].takes)
    return {"digits": (), "folder": ("source", "boxes", "no_decode", "exif")}.get(
        name, ("source", "boxes", "no_decode")
    )


def _needs(name: str) -> tuple[str, ...]:
    """Return the options without which a data set cannot be prepared."""
    return PUBLISHED_DATASETS[name].needs if name in PUBLISHED_DATASETS else ("source",) * (name == "folder")


def _builders(options: argparse.Namespace, data_dir: Path) -> list[Callable[[], tfds.core.DatasetBuilder]]:
    """Return what makes the builders, each with the options that concern it."""
    writing = {"data_dir": data_dir, "num_processes": options.num_processes, "decode": not options.no_decode}
    name, source, boxes = options.name, options.source, dict(options.boxes)
    if name == "digits":
        return [lambda c=c: Digits(data_dir=data_dir, config=c) for c in Digits.BUILDER_CONFIGS]
    if name == "folder":
        return [lambda: Folder(root=source, boxes=boxes, exif=options.exif or "auto", **writing)]
    if name in PUBLISHED_DATASETS:
        published = PUBLISHED_DATASETS[name]
        given = vars(options) | {
            "boxes": boxes.get(published.boxes_of),
            "heldout": options.heldout and tuple(options.heldout),
        }
        takes = {option: given[option] for option in published.takes}
        return [lambda: published.builder(source=source, partial=options.partial, **takes, **writing)]
    make_builder = datasets.outside_builder(name)
    return [lambda: make_builder(root=source, boxes=boxes, **writing)]


def _summary(folder: Path) -> Table:
    """Count what a prepared dataset holds."""
    info: Any = tfds.builder_from_directory(folder).info
    table = Table("split", "images", "boxes", "masks", "MB")
    for name, split in info.splits.items():
        kinds = [name in info.metadata[f"splits_with_{kind}"] for kind in ("boxes", "masks")]
        words = ["yes" if kind else "no" for kind in kinds]
        table.add_row(name, f"{split.num_examples:,}", *words, f"{split.num_bytes / 1e6:,.0f}")
    table.caption = f"{info.features['label'].num_classes} classes"
    return table


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="python -m lctr_jax.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", type=_name, help=f"{', '.join(_NAMES)}, or a module path (docs/extending.md)")
    parser.add_argument(
        "--source", type=path_argument, help="the image folder, or the archive or folder as published"
    )
    parser.add_argument(
        "--data-dir", type=path_argument, default=Path("data"), help="where prepared datasets are kept"
    )
    parser.add_argument(
        "--boxes",
        type=_split_and_path,
        action="append",
        default=[],
        metavar="SPLIT=LIST",
        help="a box list in any format; may be repeated",
    )
    parser.add_argument(
        "--exif",
        choices=("auto", "upright", "stored"),
        help="folder: turn images upright by EXIF; auto: where a split has neither a box list nor masks",
    )
    parser.add_argument(
        "--metadata",
        type=path_argument,
        help="wsoleval's metadata/CUB, metadata/ILSVRC or metadata/OpenImages",
    )
    parser.add_argument("--segmentations", type=path_argument, help="cub: segmentations.tgz or its folder")
    parser.add_argument(
        "--heldout",
        type=path_argument,
        nargs=2,
        metavar=("IMAGES", "LISTS"),
        help="wsoleval's CUBV2 or ImageNetV2: its image root, and the folder of its localization.txt",
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        metavar="SPLIT",
        help="these splits alone; test or val for evaluation without training images",
    )
    parser.add_argument("--num-processes", type=int, default=os.cpu_count(), help="how many processes write")
    parser.add_argument(
        "--no-decode", action="store_true", help="read image headers alone: damaged images are not detected"
    )
    parser.add_argument("--partial", action="store_true", help="accept fewer images than were published")
    parser.add_argument("--overwrite", action="store_true", help="build it again even if it is there")
    return parser


def _name(text: str) -> str:
    if text not in _NAMES and not is_module_path(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {', '.join(_NAMES)}, or a module path")
    return text


def _split_and_path(text: str) -> tuple[str, Path]:
    split, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected SPLIT=LIST, such as val=val_boxes.txt, got {text!r}")
    return split, path_argument(path)


if __name__ == "__main__":
    main()

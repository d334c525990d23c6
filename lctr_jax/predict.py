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
from collections.abc import Sequence

from lctr_jax.annotations.formats import FORMATS
from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_folder_destination, text_argument
from lctr_jax.report.prediction_options import MAX_IMAGES, PARTS


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with status 1 if an image could not be read."""
    options = _parser().parse_args(arguments)
    require_folder_destination(options.out)
    from lctr_jax.run.prediction import predict  # JAX takes seconds, which --help does not need

    predict(options)


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

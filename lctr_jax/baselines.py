"""Accuracy of content-free predictors on a box list, without any images.

    python -m lctr_jax.baselines LIST [--image-sizes FILE] [--protocol wsoleval|lctr] [--json FILE]

docs/evaluation.md describes the predictors, docs/datasets.md the supported lists.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_file_destination


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    if options.json:
        require_file_destination(options.json)
    _measure(options)


def _measure(options: argparse.Namespace) -> None:
    # Imported here: OpenCV and Numba take a second, which --help does not need.
    from lctr_jax.data.box_lists import read_boxes
    from lctr_jax.data.image_sizes import read_image_sizes
    from lctr_jax.evaluation.box_list_baselines import measure_list

    boxes = read_boxes(options.list)
    result = measure_list(
        boxes,
        read_image_sizes(options.image_sizes or _beside(options.list)),
        protocol=options.protocol,
        image_size=options.image_size,
        first_box_only=options.first_box_only,
    )
    result = {"list": str(options.list), **result}
    Console().print(_table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def _beside(box_list: Path) -> Path:
    """Return the file of image sizes next to a list, as in wsoleval's layout."""
    path = (box_list if box_list.is_dir() else box_list.parent) / "image_sizes.txt"
    if not path.is_file():
        raise ValueError(
            f"--image-sizes: got none, and there is no {path}; expected a file of `path,width,height`"
        )
    return path


def _table(result: dict[str, Any]) -> Table:
    levels = list(next(iter(result["baselines"].values()))["gt_known_loc_by_iou"])
    table = Table(
        title=f"Content-free boxes, {result['num_images']} images, protocol {result['protocol']} (percent)"
    )
    table.add_column("predictor")
    for level in levels:
        table.add_column(f"IoU {level}", justify="right")
    table.add_column("MaxBoxAccV2", justify="right")
    table.add_column("size", justify="right")
    for name, row in result["baselines"].items():
        accuracies = [row["gt_known_loc_by_iou"][level] for level in levels] + [row["max_box_acc_v2"]]
        table.add_row(name, *(f"{value:.2f}" for value in accuracies), row["size_source"])
    return table


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.baselines", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("list", type=path_argument, metavar="LIST", help="box list, in any supported format")
    parser.add_argument(
        "--image-sizes",
        type=path_argument,
        metavar="FILE",
        help="lines `path,width,height`; by default image_sizes.txt next to LIST",
    )
    parser.add_argument("--protocol", choices=("wsoleval", "lctr"), default="wsoleval")
    parser.add_argument("--image-size", type=int, default=224, metavar="PIXELS", help="side of the frame")
    parser.add_argument(
        "--first-box-only",
        action="store_true",
        help="use only the first box, as LCTR's loader does for ILSVRC",
    )
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

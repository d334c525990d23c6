"""Classes, boxes and maps of one's own images, from any checkpoint.

    python -m lctr_jax.predict --checkpoint PATH --out DIR IMAGE_OR_FOLDER... [options]

Writes to DIR `predictions.jsonl`, a line an image; `NAME_boxes.jpg`, each image under its map with its box;
`index.html`, a page of them all. Boxes are x0 y0 x1 y1 in the image's own pixels, turned upright as its EXIF
orientation says, which is how viewers show it. Unreadable files are reported and skipped; the exit status is
then 1, and 2 after any other mistake.

The whole image is squeezed into the network's square, as the wsoleval protocol has it: nothing at the borders
of a picture that somebody wants boxes on may be lost. `--geometry lctr` is the published evaluation's center
crop, which keeps proportions, but sees and boxes only the middle of the image.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track

from lctr_jax.checkpoints.store import CHECKPOINTS, find_checkpoint
from lctr_jax.data.folder.tree import IMAGE_SUFFIXES
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.images import load_rgb, open_image
from lctr_jax.errors import one_line, one_line_errors
from lctr_jax.loading import load
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.localizer import Localizer
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.predictions import PredictionFolder

PUBLISHED_THRESHOLD = 0.09  # LCTR's for CUB


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits 1 if an image could not be read."""
    options = _parser().parse_args(arguments)
    paths = find_images(options.images, out=options.out)
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
    batches = read_batches(paths, batch_size=localizer.batch_size, unreadable=unreadable)
    num_batches = -(-len(paths) // localizer.batch_size)
    with PredictionFolder(options.out, total=len(paths), keep=paths, facts=facts) as folder:
        for images in track(batches, "localizing", total=num_batches, console=Console(stderr=True)):
            for path, prediction in zip(images, localizer(list(images.values())), strict=True):
                folder.add(path, prediction)
        made_with = {"checkpoint": options.checkpoint, **facts, **describe_environment()}
        folder.write_page(unreadable=unreadable, facts=made_with)
    print(f"{len(paths) - len(unreadable)} images: {options.out / 'index.html'}", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


def find_images(arguments: Sequence[Path], *, out: Path) -> list[Path]:
    """The images that files and folders name, folders searched to the bottom, each once and in order.

    What lies in `out`, perhaps from an earlier run, is not looked for.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder has no images, or is `out` itself.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        if not argument.exists():
            raise FileNotFoundError(f"{argument}: no such image or folder")
        if argument.is_dir() and argument.resolve() == out.resolve():
            raise ValueError(f"--out: {out} is a folder of images to be read; choose another one")
        images = list(_in_folder(argument, out)) if argument.is_dir() else [argument]
        if not images:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f"{argument}: no images in this folder; expected files ending in {known}")
        found |= dict.fromkeys(images)
    return list(found)


def _in_folder(folder: Path, out: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        written = out.resolve() in path.resolve().parents
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not hidden and not written:
            yield path


def read_batches(
    paths: Sequence[Path], *, batch_size: int, unreadable: dict[str, str]
) -> Iterator[dict[Path, Image.Image]]:
    """Images by path, decoded in threads, a batch in memory at a time.

    What cannot be read is left out, reported on stderr, and noted in `unreadable` with its reason.
    """
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(paths), batch_size):
            chunk = paths[start : start + batch_size]
            read = dict(zip(chunk, threads.map(_read_or_error, chunk), strict=True))
            for path, error in read.items():
                if isinstance(error, Exception):
                    unreadable[str(path)] = one_line(error)
                    print(f"skipped {path}: {one_line(error)}", file=sys.stderr)
            yield {path: image for path, image in read.items() if isinstance(image, Image.Image)}


def _read_or_error(path: Path) -> Image.Image | Exception:
    try:
        return read_upright(path)
    except (ValueError, OSError) as error:
        return error


def read_upright(path: Path) -> Image.Image:
    """The RGB image as viewers show it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an image, or a damaged one.
    """
    image = open_image(path.read_bytes())
    load_rgb(image)
    return load_rgb(ImageOps.exif_transpose(image))


def choose_threshold(given: float | None, checkpoint: str) -> tuple[Threshold, str]:
    """The threshold and where it comes from: given, the run's own evaluation's, or the published one.

    Raises:
        ValueError: the given one is not a share of the map's maximum.
    """
    if given is not None:
        return Threshold(given), "given"
    folder = Path(find_checkpoint(checkpoint))
    metrics = folder.parents[1] / "eval" / "metrics.json"
    if folder.parent.name == CHECKPOINTS and metrics.is_file():
        evaluated = json.loads(metrics.read_text())
        if "threshold" in evaluated:
            return Threshold(evaluated["threshold"]), f"the run's evaluation, {evaluated['threshold_source']}"
    return Threshold(PUBLISHED_THRESHOLD), "LCTR's for CUB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lctr_jax.predict", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument(
        "--checkpoint", required=True, metavar="PATH", help="the converter's, or a run's folder"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
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

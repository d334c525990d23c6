"""Find images in files and folders, and decode them upright, a batch at a time."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from lctr_jax.data.image_decoding import decode_rgb
from lctr_jax.data.image_formats import IMAGE_SUFFIXES
from lctr_jax.errors import one_line


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
    return decode_rgb(path.read_bytes(), upright=True)

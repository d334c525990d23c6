"""Read images in batches, rotated by their EXIF orientation."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from lctr_jax.data.image_decoding import decode_rgb
from lctr_jax.errors import one_line


def read_batches(
    paths: Iterable[Path], *, batch_size: int, unreadable: dict[str, str]
) -> Iterator[dict[Path, Image.Image]]:
    """Yield images by path, decoded in threads, one batch at a time.

    Unreadable files are skipped, reported on stderr, and added to `unreadable` with the reason.
    """
    with ThreadPoolExecutor() as threads:
        remaining = iter(paths)
        while chunk := list(itertools.islice(remaining, batch_size)):
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
    """Read an RGB image, rotated as viewers show it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an image, or is damaged.
    """
    return decode_rgb(path.read_bytes(), upright=True)

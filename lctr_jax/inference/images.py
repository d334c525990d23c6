"""Read images in batches, rotated by their EXIF orientation."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lctr_jax.data.image_decoding import RgbPixels, decode_pixels
from lctr_jax.errors import one_line
from lctr_jax.inference.prediction_inputs import Input

Pending = list[tuple[Input, "Future[RgbPixels | Exception]"]]


def read_batches(
    inputs: Iterable[Input], *, batch_size: int, unreadable: dict[str, str]
) -> Iterator[list[tuple[Input, RgbPixels]]]:
    """Yield inputs and their images in batches; threads decode the next batch while one is used.

    Unreadable files are skipped, reported on stderr, and added to `unreadable` with the reason.
    """
    remaining = iter(inputs)
    with ThreadPoolExecutor() as threads:

        def begin() -> Pending:
            chunk = itertools.islice(remaining, batch_size)
            return [(given, threads.submit(_read_or_error, given.path)) for given in chunk]

        pending = begin()
        while pending:
            following = begin()
            images = []
            for given, reading in pending:
                read = reading.result()
                if isinstance(read, Exception):
                    report_unreadable(given, read, unreadable)
                else:
                    images.append((given, read))
            yield images
            pending = following


def report_unreadable(given: Input, error: Exception, unreadable: dict[str, str]) -> None:
    """Print that an input is skipped, with the reason, and add it to `unreadable`."""
    unreadable[str(given.path)] = one_line(error)
    print(f"skipped {given.path}: {one_line(error)}", file=sys.stderr)


def _read_or_error(path: Path) -> RgbPixels | Exception:
    try:
        return read_upright(path)
    except (ValueError, OSError) as error:
        return error


def read_upright(path: Path) -> RgbPixels:
    """Read an RGB image, rotated as viewers show it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an image, or is damaged.
    """
    return decode_pixels(path.read_bytes(), upright=True)

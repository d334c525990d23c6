"""Images for `localize`: PIL images, arrays, files and folders."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lctr_jax.data.image_decoding import RgbPixels, load_rgb
from lctr_jax.host.paths import expand
from lctr_jax.inference.image_search import check_arguments, find_images
from lctr_jax.inference.images import read_upright

ImageSource = Image.Image | np.ndarray | str | os.PathLike[str]


def read_sources(sources: Any) -> Iterator[tuple[Path | None, RgbPixels]]:
    """Yield the upright RGB images of one or several sources, with their path if read from a file.

    A source is a PIL image, a uint8 RGB array [height, width, 3], the path of an image, or the path of a
    folder, which stands for all images in it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        TypeError: a source has an unsupported type.
        ValueError: an array has another shape or type, an image is damaged, or a folder has no images.
    """
    single = isinstance(sources, Image.Image | np.ndarray | str | os.PathLike)
    for number, source in enumerate([sources] if single else sources):
        where = "images" if single else f"images[{number}]"
        if isinstance(source, np.ndarray):
            yield None, _check(source, where).copy()  # predictions keep it
        elif isinstance(source, Image.Image):
            yield None, np.asarray(load_rgb(source, upright=True))
        elif isinstance(source, str | os.PathLike):
            yield from _read_path(expand(source))
        else:
            raise TypeError(f"{where}: got {type(source).__name__}, expected a PIL image, an array or a path")


def _read_path(path: Path) -> Iterator[tuple[Path, RgbPixels]]:
    check_arguments([path])
    for file in find_images([path]):
        try:
            yield file, read_upright(file)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error


def _check(array: np.ndarray, where: str) -> RgbPixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        several = "; give several as a list" if array.ndim == 4 else ""
        raise ValueError(
            f"{where}: got {array.dtype} {list(array.shape)}, expected uint8 [height, width, 3], RGB{several}"
        )
    return array

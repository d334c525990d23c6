"""Lists of image sizes: wsoleval's `image_sizes.txt`."""

from pathlib import Path

from lctr_jax.data.box_entry import read_lines, shorten


def read_image_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Read `path,width,height` lines, in pixels.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line does not have that form, or a size is not positive.
    """
    if not path.is_file():
        raise FileNotFoundError(f"image sizes: no such file: {path}; expected lines `path,width,height`")
    sizes = {}
    for where, line in read_lines(path):
        name, *size = line.rsplit(",", 2)
        if len(size) != 2 or not all(
            len(side) < 10 and side.strip().isdecimal() and int(side) for side in size
        ):
            raise ValueError(f"{where}: expected `path,width,height` in whole pixels, got {shorten(line)!r}")
        sizes[name] = (int(size[0]), int(size[1]))
    return sizes

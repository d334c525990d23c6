"""Find the file that `--config` means: the user's own by path, or one that comes with the package by name."""

from pathlib import Path

from lctr_jax.host.paths import expand

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT, _INSTALLED = _PACKAGE.parent / "configs", _PACKAGE / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""A wheel holds the experiment configs inside the package, a checkout beside it."""


def find_config(given: str) -> Path:
    """The file at that path, or `cub`, `digits`, ... of the package's own.

    Raises:
        FileNotFoundError: there is neither.
    """
    path, named = expand(given), FOLDER / f"{given}.py"
    if path.is_file():
        return path
    if path.name == given and named.is_file():
        return named
    names = ", ".join(sorted(own.stem for own in FOLDER.glob("*.py")))
    beside = ", ".join(sorted(str(other) for other in path.parent.glob("*.py")))
    files = f"; its folder holds {beside}" if path.name != given and beside else ""
    raise FileNotFoundError(f"--config: {given} does not exist{files}; by name there are {names}")

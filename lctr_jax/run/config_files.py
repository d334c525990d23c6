"""Find the file of `--config`: a path, or the name of a config of this package."""

from pathlib import Path

from lctr_jax.host.paths import expand

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT, _INSTALLED = _PACKAGE.parent / "configs", _PACKAGE / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""A wheel contains the experiment configs inside the package, a checkout next to it."""


def find_config(given: str) -> Path:
    """Return the file at that path, or the package's config of that name (`cub`, `digits`, ...).

    Raises:
        FileNotFoundError: neither exists.
    """
    path, named = expand(given), FOLDER / f"{given}.py"
    if path.is_file():
        return path
    if path.name == given and named.is_file():
        return named
    names = ", ".join(sorted(own.stem for own in FOLDER.glob("*.py")))
    beside = ", ".join(sorted(str(other) for other in path.parent.glob("*.py")))
    files = f"; its folder contains {beside}" if path.name != given and beside else ""
    raise FileNotFoundError(f"--config: {given} does not exist{files}; configs by name: {names}")

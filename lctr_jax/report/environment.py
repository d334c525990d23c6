"""Versions of the software that made a page."""

import platform
from importlib.metadata import version

import lctr_jax

_PACKAGES = ("jax", "flax", "numpy", "opencv-python-headless", "pillow")


def describe_environment() -> dict[str, str]:
    """Return the versions of this package, of Python and of packages that affect results."""
    return {
        "lctr_jax": lctr_jax.__version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        **{package: version(package) for package in _PACKAGES},
    }

"""Table of localization methods, and lookup by name or module path."""

import functools
import os
import sys

from lctr_jax.models.method import Method
from lctr_jax.plugins import is_module_path, load_plugin

METHODS = {
    "lctr": "lctr_jax.models.lctr:LCTR_METHOD",
    "lctr_without_rpam": "lctr_jax.models.lctr:WITHOUT_RPAM",
    "lctr_without_cdm": "lctr_jax.models.tscam:LCTR_WITHOUT_CDM",
    "tscam": "lctr_jax.models.tscam:TSCAM_METHOD",
    "rollout": "lctr_jax.models.rollout:METHOD",
    "trilite": "lctr_jax.models.trilite:METHOD",
    "cam": "lctr_jax.models.cam:METHOD",
    "deit": "lctr_jax.models.deit:METHOD",
}
"""Where each method of the package is declared. Others are named by module path (docs/extending.md)."""

TRUSTED = "LCTR_JAX_METHODS"
"""Environment variable: comma-separated module paths of methods that a checkpoint may import."""


@functools.cache
def get_method(name: str) -> Method:
    """Return the method of that name in `METHODS`, or import it from a module path.

    Raises:
        ValueError: there is no such method.
        ModuleNotFoundError: there is no such module.
    """
    if name not in METHODS and not is_module_path(name):
        raise ValueError(
            f"model.method: got {name!r}, expected one of {', '.join(METHODS)}, or a module path such as "
            "my_package.my_method"
        )
    return load_plugin(METHODS.get(name, name), default="METHOD", kind=Method, option="model.method")


def named_methods() -> list[str]:
    """Return the package's method names, then those in the environment variable `LCTR_JAX_METHODS`."""
    return [*METHODS, *_trusted()]


def require_trusted(name: str) -> None:
    """Refuse to import a method's module that only a file, not the user, has named.

    Raises:
        ValueError: the method is not part of the package, nor imported already, nor named by the user.
    """
    if not is_module_path(name) or name.partition(":")[0] in sys.modules or name in _trusted():
        return
    raise ValueError(
        f"method {name!r} is not part of lctr_jax, and a checkpoint alone may not import code; "
        f"if you trust that module, import it first or set {TRUSTED}={name} in the environment"
    )


def _trusted() -> list[str]:
    return [name for name in os.environ.get(TRUSTED, "").split(",") if name]

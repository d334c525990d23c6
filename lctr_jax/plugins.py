"""Load objects by module path, such as methods and data sets from outside the package."""

import pkgutil
from typing import Any


def is_module_path(name: str) -> bool:
    """Return whether a name is `package.module` or `package.module:ATTRIBUTE`; built-in names never are."""
    return "." in name or ":" in name


def load_plugin(path: str, *, default: str, kind: type, option: str) -> Any:
    """Return the object at `package.module:ATTRIBUTE` or, without a colon, the module's attribute `default`.

    Args:
        path: given by the user. The module is imported, which runs its code.
        default: name of the attribute if `path` names only a module.
        kind: required class of the object, or base class if the object is a class.
        option: name of the option, for messages.

    Raises:
        ModuleNotFoundError: there is no such module.
        ValueError: the path is malformed, the module cannot be imported, or it lacks the attribute.
    """
    target = path if ":" in path else f"{path}:{default}"
    module, _, attribute = target.partition(":")
    try:
        found = pkgutil.resolve_name(target)
    except ModuleNotFoundError as error:
        own = error.name is not None and module.startswith(error.name)
        hint = "install it, or put its folder on PYTHONPATH" if own else f"needed by {module}"
        raise ModuleNotFoundError(f"{option}: got {path!r}, but no module {error.name!r}; {hint}") from error
    except AttributeError as error:
        raise ValueError(f"{option}: got {path!r}, but {module} has no {attribute}") from error
    except (ValueError, ImportError, SyntaxError) as error:
        raise ValueError(f"{option}: got {path!r}, which cannot be imported: {error}") from error
    if not (isinstance(found, kind) or (isinstance(found, type) and issubclass(found, kind))):
        raise ValueError(f"{option}: {target} is {found!r}, expected a {kind.__name__}")
    return found

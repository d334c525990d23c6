"""Find what a user names by module path, such as a method or a data set from outside the package."""

import pkgutil
from typing import Any


def is_module_path(name: str) -> bool:
    """Whether a name is `package.module` or `package.module:ATTRIBUTE`, which no name of our own is."""
    return "." in name or ":" in name


def load_plugin(path: str, *, default: str, kind: type, option: str) -> Any:
    """The object at `package.module:ATTRIBUTE`, or the module's attribute `default` without a colon.

    Args:
        path: what the user wrote. The module is imported, which runs its code.
        default: name of the attribute to take where `path` names only a module.
        kind: the object must be an instance of this class, or a subclass of it if it is a class itself.
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

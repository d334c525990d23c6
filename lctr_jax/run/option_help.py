"""The text of `--help` about the options of a config: group, default, range and meaning of each.

Everything comes from the dataclasses that declare the options. JAX is not imported.
"""

import dataclasses
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig, default_config

_WIDTH = 100
_MODEL_NAME = "size, a name in `models.spec.BACKBONES`; other fields replace those of the size."


def list_options() -> str:
    """List every option as the command line sets it, by group, with default and meaning."""
    defaults = default_config().to_dict()
    own = _meanings(RunConfig)
    lines = []
    for name, default in defaults.items():
        if not isinstance(default, dict):
            lines += _describe_option(name, default, own[name], _range(RunConfig, name))
    for group, options in defaults.items():
        if isinstance(options, dict):
            declared = _declaration(group)
            meanings = _meanings(declared) | ({"name": _MODEL_NAME} if declared is ModelSpec else {})
            lines += ["", f"{group}: {own[group]}"]
            for name, default in options.items():
                lines += _describe_option(f"{group}.{name}", default, meanings[name], _range(declared, name))
    return "\n".join(lines)


def _declaration(group: str) -> type:
    """Return the dataclass that declares a group of options."""
    kind: Any = next(field.type for field in dataclasses.fields(RunConfig) if field.name == group)
    declared: Any = kind if dataclasses.is_dataclass(kind) else ModelSpec
    return declared


def _meanings(declared: type) -> dict[str, str]:
    """Return the meaning of each field, from the section `Attributes` of the class's docstring."""
    section = textwrap.dedent((declared.__doc__ or "").partition("Attributes:\n")[2])
    entries = re.findall(r"^(\w+): (.*(?:\n[ ]+.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _range(declared: type, name: str) -> str:
    """Return the allowed values that a field's annotation declares, in words."""
    kinds = {field.name: field.type for field in dataclasses.fields(declared)}
    metadata = getattr(kinds.get(name), "__metadata__", ())
    return f" ({metadata[0]})" if metadata else ""


def _describe_option(name: str, default: Any, meaning: str, allowed: str) -> Iterator[str]:
    if isinstance(default, dict):
        shown = "".join(f"\n  --config.{name}.{key}={value}" for key, value in default.items())
        yield shown.lstrip("\n")
    else:
        yield f"  --config.{name}={'' if default is None else default}"
    yield textwrap.fill(
        f"{meaning.rstrip('.')}{allowed}.", _WIDTH, initial_indent=6 * " ", subsequent_indent=6 * " "
    )

"""Reading JSON objects of unknown content."""

import json
import math
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it contains something else.
    """
    return parse_object(path.read_bytes(), where=str(path))


def parse_object(text: str | bytes, *, where: str) -> dict[str, Any]:
    """Parse a JSON object; `where` names it in messages.

    Raises:
        ValueError: it is something else, or nested too deeply.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{where}: JSON that is nested too deeply") from error
    except ValueError as error:  # invalid encoding, syntax, or an integer with thousands of digits
        raise ValueError(f"{where}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where}: got a JSON {_kind(value)}, expected an object")
    return value


def require_number(value: Any, *, where: str) -> float:
    """Return a finite number as a float.

    Raises:
        ValueError: the value is not one.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number
        except OverflowError:  # an integer that is too large
            pass
    raise ValueError(f"{where}: got {describe_value(value)}, expected a finite number")


def describe_value(value: Any) -> str:
    """Format a value in at most 80 characters."""
    if isinstance(value, dict | list):
        return f"a JSON {_kind(value)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of over 77 digits"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")

"""JSON objects from files and strings that anybody may have written."""

import json
import math
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it holds something else.
    """
    return parse_object(path.read_bytes(), where=str(path))


def parse_object(text: str | bytes, *, where: str) -> dict[str, Any]:
    """The JSON object that the text is; `where` names it in messages.

    Raises:
        ValueError: it is something else, or nested too deeply to be read.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{where}: not JSON that can be read: nested too deeply") from error
    except ValueError as error:  # of the encoding, the syntax, or an integer of thousands of digits
        raise ValueError(f"{where}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where}: got a JSON {_kind(value)}, expected an object")
    return value


def require_number(value: Any, *, where: str) -> float:
    """A finite number, as a float.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number
        except OverflowError:  # an integer beyond floats
            pass
    raise ValueError(f"{where}: got {describe_value(value)}, expected a finite number")


def describe_value(value: Any) -> str:
    """A value in a few characters, whatever its size."""
    if isinstance(value, dict | list):
        return f"a JSON {_kind(value)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of over 77 digits"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")

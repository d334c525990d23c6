"""Declare the allowed values of an option next to its default, and refuse all others.

A group of options is a dataclass whose fields are annotated: `lr: Annotated[float, Range(0)] = 5e-5`, or
`schedule: Annotated[str, Choice("per_epoch", "per_step")] = "per_epoch"`.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`; `below` excludes `high`, `above` excludes `low`."""

    low: int | float = -math.inf
    high: int | float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        if (self.above and value == self.low) or (self.below and value == self.high):
            return False
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number above {self.low:g}" if self.above else f"{self.low:g} or more, finite"
        if self.low == -math.inf:
            return f"a finite number, at most {self.high:g}"
        start = f"above {self.low:g}" if self.above else f"{self.low:g}"
        return f"{start} to {'below ' if self.below else ''}{self.high:g}"


@dataclass(frozen=True)
class Interval:
    """Two numbers (low, high) within a range, low not greater than high."""

    of: Range

    def __contains__(self, value: Any) -> bool:
        pair = isinstance(value, tuple | list) and len(value) == 2 and all(each in self.of for each in value)
        return bool(pair and value[0] <= value[1])

    def __str__(self) -> str:
        return f"two numbers (low, high), low no greater than high, each {self.of}"


class Choice:
    """One of several words."""

    def __init__(self, *words: str):
        self._words = words

    def __contains__(self, value: Any) -> bool:
        return value in self._words

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self._words))}"


_KINDS = (Range, Interval, Choice)


def check_options(group: str, options: Any) -> None:
    """Check every field of a dataclass against its annotation.

    Raises:
        ValueError: a field is not allowed; the message has GROUP.FIELD (or FIELD if the group has no name),
            the value and what is expected.
    """
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if (expected := _violated(field.type, value)) is not None:
            name = f"{group}.{field.name}" if group else field.name
            raise ValueError(f"{name}: got {value!r}, expected {expected}")


def _violated(declared: Any, value: Any) -> str | None:
    """Return what is expected if `value` is not allowed, otherwise None."""
    allowed = [each for each in getattr(declared, "__metadata__", ()) if isinstance(each, _KINDS)]
    return next((str(each) for each in allowed if value not in each), None)

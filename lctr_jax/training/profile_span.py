"""The option `train.profile`: which training steps to trace."""

import re
from typing import NamedTuple


class Span(NamedTuple):
    """A range of steps, inclusive, counted from 1 as in the log."""

    first: int
    last: int


def parse_span(text: str) -> Span | None:
    """Parse `train.profile`: "A-B", or None if it is empty.

    Raises:
        ValueError: it is neither.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"train.profile: got {text!r}, expected steps A-B from 1 on, such as 10-14")
    return Span(int(match[1]), int(match[2]))

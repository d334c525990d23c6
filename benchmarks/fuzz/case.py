"""A reader's inputs, the function that reads them, and the possible outcomes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hypothesis.strategies import SearchStrategy

from lctr_jax.errors import LONGEST, one_line

MISTAKES = (ValueError, OSError, ModuleNotFoundError)
"""Exceptions that `lctr_jax.errors.one_line_errors` prints as one line; others end in a traceback."""

LONGEST_LINE = 2 * LONGEST
"""Longest accepted error message in characters, including escapes."""

LONGEST_READ = 10.0
"""Seconds after which reading an input counts as endless."""

Outcome = Literal["read", "refused"]


class EndlessError(Exception):
    """Reading an input took longer than `LONGEST_READ`."""


class Case(NamedTuple):
    """Inputs of one kind for one reader.

    Attributes:
        reader: row of the table.
        kind: part of the row.
        inputs: strategy of the inputs.
        read: receives a scratch folder, which keeps files of earlier inputs, and an input; checks the result,
            and raises one of `MISTAKES` for inputs to be refused.
    """

    reader: str
    kind: str
    inputs: SearchStrategy[Any]
    read: Callable[[Path, Any], object]


def feed(case: Case, folder: Path, content: Any) -> Outcome:
    """Feed an input and return the outcome.

    Works only in a process's main thread, because the time limit uses a signal.

    Raises:
        Exception: raised by the reader and not one of `MISTAKES`.
        AssertionError: the message of a mistake is empty or too long for one line.
    """
    try:
        with _time_limit():
            case.read(folder, content)
    except MISTAKES as error:
        _check_line(one_line(error))
        return "refused"
    return "read"


def _check_line(line: str) -> None:
    assert line, "an error without a message"
    assert len(line) <= LONGEST_LINE, f"a message of {len(line)} characters"


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(signum: int, frame: object) -> None:
        raise EndlessError(f"over {LONGEST_READ:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_READ)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""One reader's inputs and the function that reads them, and what may become of an input."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hypothesis.strategies import SearchStrategy

from lctr_jax.errors import LONGEST, one_line

MISTAKES = (ValueError, OSError, ModuleNotFoundError)
"""What `lctr_jax.errors.one_line_errors` prints as one line; anything else ends in a traceback."""

LONGEST_LINE = 2 * LONGEST
"""Characters of the longest error message that still counts as a line to read, escapes included."""

LONGEST_READ = 10.0
"""Seconds after which an input counts as one that never ends."""

Outcome = Literal["read", "refused"]


class EndlessError(Exception):
    """An input took longer than `LONGEST_READ`."""


class Case(NamedTuple):
    """Inputs of one kind for one reader.

    `reader` is the row of the table, `kind` the part of it. `read` gets a scratch folder, which holds what
    earlier inputs left there, and one of `inputs`; it checks what it gets, and raises a mistake of
    `MISTAKES` for inputs that are to be refused.
    """

    reader: str
    kind: str
    inputs: SearchStrategy[Any]
    read: Callable[[Path, Any], object]


def feed(case: Case, folder: Path, content: Any) -> Outcome:
    """What became of an input.

    Raises:
        Exception: whatever the reader raised that is no user's mistake, and AssertionError where the message
        of a
            mistake is empty or too long to be one line. Only in a process's main thread, which the clock
            interrupts.
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

"""Reporting of a user's mistakes by commands: one line, exit status 2, no traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK = "LCTR_TRACEBACK"
_AROUND = 50

LONGEST = 2000
"""Approximate maximum length of a message, in characters."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a user's mistake into `error: ...` on stderr and exit status 2; also usable as a decorator.

    Mistakes are ValueError, OSError (a missing or unwritable file) and ModuleNotFoundError (an optional
    package). Anything else is a bug and keeps its traceback, as does everything if the environment variable
    LCTR_TRACEBACK is set.
    """
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def one_line(error: BaseException) -> str:
    """Format the error's message on one line; errors of the system as `path: what went wrong`.

    Control characters from file names are escaped, since they could manipulate the terminal. The middle of
    messages over `LONGEST` characters is omitted.
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, UnicodeEncodeError):
        text = f"{_excerpt(error)!a}: this name or text is not valid UTF-8; rename the file or folder"
    elif isinstance(error, UnicodeDecodeError):
        text = f"{_excerpt(error)!r}: this text is not valid {error.encoding}; save it as UTF-8"
    else:
        text = str(error)
    text = " ".join(text.split()) or type(error).__name__
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _excerpt(error: UnicodeEncodeError | UnicodeDecodeError) -> str | bytes:
    """Return a whole name, or the surroundings of the error in a longer text."""
    around = slice(max(0, error.start - _AROUND), error.end + _AROUND)
    return error.object if len(error.object) <= 4 * _AROUND else error.object[around]

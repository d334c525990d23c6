"""How the command lines tell a user's mistake: one line, exit status 2, no traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK = "LCTR_TRACEBACK"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a user's mistake into `error: ...` on stderr and exit status 2; also serves as a decorator.

    Mistakes are ValueError, OSError (a missing or unwritable file) and ModuleNotFoundError (an optional
    package). Anything else is a fault of ours and keeps its traceback; so does everything when the
    environment variable LCTR_TRACEBACK is set.
    """
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def one_line(error: BaseException) -> str:
    """The error's message on one line; the system's own errors as `path: what went wrong`."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__

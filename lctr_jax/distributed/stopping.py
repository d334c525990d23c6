"""How a stopped run ends its command. No JAX here, so that a command line starts at once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):  # noqa: N818
    """The run was stopped by the signal of that number."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def stop_status() -> Iterator[None]:
    """End a stopped run with exit status 128 + signal number, as shells do."""
    try:
        yield
    except Interrupted as stop:
        print(f"{stop}; the same command goes on from here", file=sys.stderr, flush=True)
        raise SystemExit(128 + stop.number) from None
    except KeyboardInterrupt:
        print("stopped by SIGINT before there was anything to save", file=sys.stderr, flush=True)
        raise SystemExit(128 + signal.SIGINT) from None

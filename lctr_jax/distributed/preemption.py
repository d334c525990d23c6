"""Stopping on a signal: at a point where the state is whole, and on every process at the same one."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Interrupted(Exception):  # noqa: N818
    """The run was asked to stop, by the signal of that number."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Interruption:
    """SIGTERM (preemption) and SIGINT (Ctrl-C), taken at the points where `check` is called.

    As a context manager it restores, at its end, the signal handlers that `listen` replaced.

    Among several processes JAX's preemption service, which holds SIGTERM since `jax.distributed.initialize`,
    makes all of them stop at the same point, so every process must call `check` equally often.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._points = 0
        self._replaced: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        return self

    def __exit__(self, *error: object) -> None:
        while self._replaced:
            signal.signal(*self._replaced.popitem())

    def listen(self) -> None:
        """From now on wait for a point to stop at; before, a signal ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT) if jax.process_count() == 1 else (signal.SIGINT,):
            self._replaced.setdefault(number, signal.signal(number, self._note))

    def check(self) -> None:
        """A point where the run can stop.

        Raises:
            Interrupted: it was asked to.
        """
        self._points += 1
        if jax.process_count() > 1:
            reached = multihost_utils.reached_preemption_sync_point(self._points)
        else:
            reached = self._received is not None
        if reached:
            raise Interrupted(self._received or signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second time ends the process at once
        self._received = number
        name = signal.Signals(number).name
        print(
            f"{name}: stopping at the next step to save; again to stop at once", file=sys.stderr, flush=True
        )
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)  # what the preemption service listens to


@contextmanager
def stop_status() -> Iterator[None]:
    """End a stopped run with the status that shells give a signal, 128 + its number: stopped, not failed."""
    try:
        yield
    except Interrupted as stop:
        print(f"{stop}; the same command goes on from here", file=sys.stderr, flush=True)
        raise SystemExit(128 + stop.number) from None
    except KeyboardInterrupt:
        print("stopped by SIGINT before there was anything to save", file=sys.stderr, flush=True)
        raise SystemExit(128 + signal.SIGINT) from None

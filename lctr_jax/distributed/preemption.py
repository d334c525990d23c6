"""Stopping on a signal, at a step where the state is complete, and at the same one on every process."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

from lctr_jax.distributed.stopping import Interrupted


class Interruption:
    """Handles SIGTERM (preemption) and SIGINT (Ctrl-C) when `check` is called.

    As a context manager, restores the signal handlers that `listen` replaced.

    With several processes, JAX's preemption service, which handles SIGTERM after
    `jax.distributed.initialize`, makes all of them stop at the same call, so every process must call `check`
    equally often.
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
        """Handle signals from now on; until then a signal ends the process immediately."""
        for number in (signal.SIGTERM, signal.SIGINT) if jax.process_count() == 1 else (signal.SIGINT,):
            self._replaced.setdefault(number, signal.signal(number, self._note))

    def check(self) -> None:
        """Stop here if a signal was received.

        Raises:
            Interrupted: a signal was received.
        """
        self._points += 1
        if jax.process_count() > 1:
            reached = multihost_utils.reached_preemption_sync_point(self._points)
        else:
            reached = self._received is not None
        if reached:
            raise Interrupted(self._received or signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second signal ends the process immediately
        self._received = number
        name = signal.Signals(number).name
        print(
            f"{name}: stopping at the next step to save; again to stop at once", file=sys.stderr, flush=True
        )
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)  # the signal that the preemption service handles

"""Stopping on a signal: the handlers during a run, and that they are restored afterwards."""

import os
import signal

import pytest

from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.stopping import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def test_a_run_that_ends_gives_the_signals_back():
    before = handlers()
    with Interruption() as interruption:
        interruption.listen()
        interruption.listen()  # as the next training in the same process does
        assert all(new != old for new, old in zip(handlers(), before, strict=True))
    assert handlers() == before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_was_stopped_gives_the_signals_back(number, capsys):
    before = handlers()
    with Interruption() as interruption:
        interruption.listen()
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_DFL  # a second one ends the process at once
        with pytest.raises(Interrupted, match=number.name):
            interruption.check()
    assert handlers() == before
    assert f"{number.name}: stopping at the next step" in capsys.readouterr().err

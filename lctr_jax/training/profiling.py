"""A trace of a few training steps, for TensorBoard's profile plugin and Perfetto."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax


class Span(NamedTuple):
    """Steps, both ends included, counted from 1 as the log counts them."""

    first: int
    last: int


def parse_span(text: str) -> Span | None:
    """What `train.profile` asks for: `A-B`, or nothing.

    Raises:
        ValueError: it is neither.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"train.profile: got {text!r}, expected steps A-B from 1 on, such as 10-14")
    return Span(int(match[1]), int(match[2]))


@contextmanager
def traced(
    step_fn: Callable[..., Any], span: Span | None, folder: Path, *, steps_taken: int
) -> Iterator[Callable[..., Any]]:
    """A step function that also leaves a trace of the calls that make the steps of `span` in `folder`.

    Each call is marked `train` with its `step_num`. What Python does is left out: it would bury the rest.
    A run that ends within the span, or fails there, keeps the trace so far.
    """
    if span is None:
        yield step_fn
        return
    tracing = False
    steps = itertools.count(steps_taken + 1)

    def stop(waited_for: Any = None) -> None:
        nonlocal tracing
        if tracing:
            jax.block_until_ready(waited_for)
            jax.profiler.stop_trace()
            tracing = False

    def traced_step(*arguments: Any) -> Any:
        nonlocal tracing
        step = next(steps)
        if step == max(span.first, steps_taken + 1) <= span.last:
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0
            jax.profiler.start_trace(folder, create_perfetto_trace=True, profiler_options=options)
            tracing = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            result = step_fn(*arguments)
            if tracing and jax.default_backend() == "cpu":
                jax.block_until_ready(
                    result
                )  # a CPU has no line of its own for the step: the host's shows it
        if step == span.last:
            stop(result)
        return result

    try:
        yield traced_step
    finally:
        stop()

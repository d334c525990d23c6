"""Traces of training steps for TensorBoard's profile plugin and Perfetto."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from lctr_jax.training.profile_span import Span


@contextmanager
def traced(
    step_fn: Callable[..., Any], span: Span | None, folder: Path, *, steps_taken: int
) -> Iterator[Callable[..., Any]]:
    """Wrap a step function so that it also writes a trace of the steps in `span` to `folder`.

    Each call is marked `train` with its `step_num`. Python calls are not traced, because they would dominate.
    If the run ends or fails within the span, the trace up to that point is kept.
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
                # CPU traces have no device timeline; waiting makes the host's annotation as long as the step.
                jax.block_until_ready(result)
        if step == span.last:
            stop(result)
        return result

    try:
        yield traced_step
    finally:
        stop()

"""The sections in order, and the format of their results."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.accelerator import correctness, digits, pipeline, pytorch, speed
from benchmarks.accelerator.scale import Scale
from benchmarks.accelerator.table import Table


@dataclass(frozen=True)
class Section:
    """A section: title, cases, and measurement of a case.

    `measure` receives the scale and a case and returns the cells of its row; exceptions are reported. Cases
    that would start after the section's time limit are skipped.
    """

    title: str
    columns: tuple[str, ...]
    cases: Callable[[Scale], list[Any]]
    measure: Callable[[Scale, Any], list[str]]
    note: str = ""


SECTIONS = {
    "goldens": Section(
        "Network against the PyTorch reference (relative errors)",
        ("network", "dtype", "logits", "class map", "relation map", "loss", "worst gradient", "as expected"),
        correctness.golden_cases,
        correctness.compare_with_golden,
        "Largest difference over largest magnitude; gradients: norm of the difference over the norm.",
    ),
    "attention": Section(
        "Attention in training, each implementation against the plain one",
        ("implementation", "dtype", "tokens", "logits", "worst gradient", "as expected"),
        correctness.attention_cases,
        correctness.compare_attention,
        "Both sides in the dtype given; in bfloat16 they round at different places.",
    ),
    "trajectory": Section(
        "30 training steps against the PyTorch reference",
        ("dtype", "largest error of a loss", "last loss", "as expected"),
        correctness.trajectory_cases,
        correctness.follow_trajectory,
    ),
    "digits": Section(
        "Digits, trained and evaluated",
        ("epochs", "minutes", "top-1 class", "GT-known Loc", "as expected"),
        digits.cases,
        digits.train_digits,
        "Usual after six epochs: top-1 92 to 94, GT-known Loc 77 to 83.",
    ),
    "pipeline": Section(
        "Input pipeline, published augmentation, 500 x 375 JPEGs",
        ("workers", "images/s", "images/s of one core"),
        pipeline.cases,
        pipeline.measure_pipeline,
    ),
    "speed": Section(
        "Steps",
        (
            *("network", "dtype", "batch", "attention", "rematerialize"),
            *("ms a step", "images/s", "% of peak", "MB temporary", "compile s"),
        ),
        speed.cases,
        speed.measure_case,
        "Peak: the fastest matrix product of that dtype measured here. Arithmetic: the analytic minimum.",
    ),
    "pytorch": Section(
        "Steps compared with PyTorch",
        (*("network", "dtype", "batch", "step", "PyTorch"), "ours, ms", "PyTorch, ms", "PyTorch / ours"),
        pytorch.cases,
        pytorch.compare,
        "LCTR with the cost structure of the published code (benchmarks/torch_lctr.py), bfloat16 by autocast;"
        " median of pairs that alternate in one process, on images that are on the device already.",
    ),
}
"""Most informative first; the speed of all settings takes longest."""


@dataclass
class Outcome:
    """The rows of a section so far, with descriptions of failed and skipped cases."""

    table: Table
    failures: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_section(
    section: Section, scale: Scale, *, seconds: float, keep: Callable[[Outcome], None]
) -> Outcome:
    """Measure the cases of a section until its time is over; `keep` receives the outcome after each."""
    outcome = Outcome(Table(section.title, section.columns))
    start = time.perf_counter()
    for case in section.cases(scale):
        if time.perf_counter() - start > seconds:
            outcome.skipped.append(f"{case}: no time left")
            continue
        try:
            outcome.table.rows.append(section.measure(scale, case))
        except Exception as error:  # exceptions of compilers, drivers and devices are results
            outcome.failures.append(f"{case}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")
        outcome.seconds = time.perf_counter() - start
        keep(outcome)
    keep(outcome)
    return outcome

"""What is tried on a device, in order, and the form of what each section reports."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.accelerator import correctness, digits, pipeline, speed
from benchmarks.accelerator.scale import Scale
from benchmarks.accelerator.table import Table


@dataclass(frozen=True)
class Section:
    """A section: its title, its cases, and what it does for one.

    `measure` is given the scale and the case, and returns the cells of its row; what it raises is reported.
    Cases that would begin after the section's time are left out.
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
}
"""The most telling ones first; the speed of all settings takes longest."""


@dataclass
class Outcome:
    """What came of a section: its rows so far, and in words what did not."""

    table: Table
    failures: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_section(
    section: Section, scale: Scale, *, seconds: float, keep: Callable[[Outcome], None]
) -> Outcome:
    """Measure the cases of a section until its time is over; `keep` is given the outcome after each."""
    outcome = Outcome(Table(section.title, section.columns))
    start = time.perf_counter()
    for case in section.cases(scale):
        if time.perf_counter() - start > seconds:
            outcome.skipped.append(f"{case}: no time left")
            continue
        try:
            outcome.table.rows.append(section.measure(scale, case))
        except Exception as error:  # whatever a compiler, a driver or a device may raise is a result
            outcome.failures.append(f"{case}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")
        outcome.seconds = time.perf_counter() - start
        keep(outcome)
    keep(outcome)
    return outcome

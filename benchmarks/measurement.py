"""Common parts of all benchmarks: machine, versions, medians with quartiles, tables, JSON."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

Task = Callable[[], Any]


def describe_machine(*packages: str) -> dict[str, Any]:
    """Describe what timings depend on; packages that are not installed are omitted."""
    versions = {name: _version(name) for name in ("jax", "numpy", *packages)}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "malloc": os.environ.get("GLIBC_TUNABLES", "default"),
        "python": platform.python_version(),
        **{name: found for name, found in versions.items() if found},
        "date": time.strftime("%Y-%m-%d"),
    }


def time_interleaved(tasks: Mapping[str, Task], *, rounds: int) -> dict[str, list[float]]:
    """Measure the seconds of every task in every round, A B A B ..., after a warm-up round.

    Disturbances by the machine affect all tasks equally; `summarize_ratio` compares within rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if index:
                times[name].append(time.perf_counter() - start)
    return times


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": float(median), "first_quartile": float(low), "third_quartile": float(high)}


def summarize_ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles of the rounds' ratios, which are robust against slow phases."""
    return summarize(np.divide(above, below).tolist())


def show(value: Mapping[str, float] | float | None, digits: int = 2) -> str:
    """Format a number, or a median with its quartiles, for a table."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        low, high = value["first_quartile"], value["third_quartile"]
        return f"{value['median']:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
    return f"{value:.{digits}f}"


def write_report(report: dict[str, Any], path: Path | None) -> None:
    """Print the machine, tables and notes of a report, and write it to `path` if given.

    `tables` is a list of {title, columns, rows} with text cells, `notes` a list of lines.
    """
    console = Console(width=None if Console().is_terminal else 130, highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for content in report["tables"]:
        table = Table(title=content["title"], title_justify="left")
        for index, column in enumerate(content["columns"]):
            table.add_column(column, justify="right" if index else "left", no_wrap=not index)
        for row in content["rows"]:
            table.add_row(*row)
        console.print(table)
    for note in report["notes"]:
        console.print(note)
    if path:
        path.write_text(json.dumps(report, indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

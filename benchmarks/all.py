"""Run every benchmark in its own process, with quick settings, and write benchmarks/RESULTS.md.

python -m benchmarks.all [--only NAME ...] [--long] [--out FILE]

--long uses more rounds, sizes and topologies, for figures to publish, on an otherwise idle machine. A failed
benchmark is listed in the page and makes the exit status 1.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import goal_lines
from lctr_jax.host.paths import path_argument

FOLDER = Path(__file__).parent
QUICK = {
    "step": [],
    "roofline": [],
    "pipeline": ["--workers", "0", "2", "--rounds", "3"],
    "feeding": ["--rounds", "3"],
    "evaluation": ["--rounds", "3"],
    "predict": [],
    "startup": ["--rounds", "2"],
    "cost_curves": [],
    "scaling": [],
    "faults": [],
}
LONG = {
    "step": ["--rounds", "11"],
    "roofline": ["--cases", "cub", "imagenet", "base", "--topologies", "v5e:2x4", "v5e:16x16", "--naive"],
    "pipeline": [],
    "feeding": [],
    "evaluation": [],
    "predict": [],
    "startup": [],
    "cost_curves": [],
    "scaling": [],
    "faults": [],
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    settings = LONG if options.long else QUICK
    reports, failed = {}, []
    for name in options.only:
        print(f"== {name}", flush=True)
        report = run(name, settings[name])
        if report is None:
            failed.append(name)
        else:
            reports[name] = report
    options.out.write_text(page(reports, failed))
    print(f"written: {options.out}")
    sys.exit(bool(failed))


def run(name: str, arguments: list[str]) -> dict[str, Any] | None:
    """Run `python -m benchmarks.NAME`; return its figures, output and duration, or None if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = ["-m", f"benchmarks.{name}", *arguments]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command, "--json", str(path)], stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout, flush=True)
        if done.returncode or not path.exists():
            return None
        return {
            "figures": json.loads(path.read_text()),
            "command": " ".join(["python", *command]),
            "seconds": time.perf_counter() - start,
            "printed": done.stdout,
        }


def page(reports: dict[str, dict[str, Any]], failed: Sequence[str]) -> str:
    """Format the reports as one Markdown page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks.all`; every section names its own command.",
        "",
    ]
    for name in failed:
        lines += [f"**{name} failed.**", ""]
    if goals := goal_lines({name: report["figures"] for name, report in reports.items()}):
        lines += ["## Goals", "", "| goal | wanted | measured | reached |", "|---|---|---|---|", *goals, ""]
    for name, report in reports.items():
        lines += [f"## {name}", "", f"`{report['command']}` ({report['seconds'] / 60:.0f} min)", ""]
        lines += ["```", report["printed"].rstrip(), "```", ""]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    present = [name for name in QUICK if importlib.util.find_spec(f"benchmarks.{name}")]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.all",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", default=present, choices=present, metavar="NAME")
    parser.add_argument("--long", action="store_true", help="for figures to publish")
    parser.add_argument("--out", type=path_argument, default=FOLDER / "RESULTS.md", metavar="FILE")
    return parser


if __name__ == "__main__":
    main()

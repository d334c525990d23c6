"""Time that users wait: for a command's first word, and for the first training step of the digits demo.

python -m benchmarks.startup [--rounds 5] [--json FILE]

Commands are compared with `python -c "import jax"` in the same round. The first step is timed from the
command to its line in the log, on prepared data, without and with compiled programs of an earlier run in the
cache.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import FIRST_STEP
from benchmarks.measurement import (
    describe_machine,
    show,
    summarize,
    summarize_ratio,
    time_interleaved,
    write_report,
)
from lctr_jax.host.paths import path_argument

ROOT = Path(__file__).parents[1]
BASELINE = "import jax"
COMMANDS = {
    BASELINE: ["-c", "import jax"],
    "import lctr_jax": ["-c", "import lctr_jax"],
    "train.py --help": ["train.py", "--help"],
    **{
        f"lctr_jax.{name} --help": ["-m", f"lctr_jax.{name}", "--help"]
        for name in ("predict", "baselines", "convert", "summarize", "compare")
    },
}
DEMO = ["train.py", "--config", "configs/digits.py", "--config.train.log_every_steps=1"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        report = measure_commands(rounds=options.rounds) | measure_first_step(
            Path(scratch), rounds=options.rounds
        )
    ratio = report["first_step"]["ratio"]
    note = f"first step, compiled before / not: {show(ratio)}, target at most {FIRST_STEP:g}"
    machine = describe_machine("tensorflow-datasets", "orbax-checkpoint")
    write_report(report | {"machine": machine, "tables": [table(report)], "notes": [note]}, options.json)


def measure_commands(*, rounds: int) -> dict[str, Any]:
    """Measure every command's seconds and their ratio to the baseline."""
    times = time_interleaved({name: _run(command) for name, command in COMMANDS.items()}, rounds=rounds)
    return {
        "commands": {
            name: {
                "seconds": summarize(seconds),
                "ratio": summarize_ratio(seconds, times[BASELINE]),
            }
            for name, seconds in times.items()
        }
    }


def measure_first_step(scratch: Path, *, rounds: int, options: Sequence[str] = ()) -> dict[str, Any]:
    """Measure the seconds to the demo's first step, each round with an empty and then a filled cache."""
    times: dict[str, list[float]] = {"empty": [], "filled": []}
    for index in range(rounds + 1):
        environment = {"XDG_CACHE_HOME": str(scratch / f"cache{index}")}
        for cache in times:
            command = [*DEMO, *options, f"--config.data.data_dir={scratch / 'data'}"]
            command.append(f"--workdir={scratch / f'{cache}{index}'}")
            seconds = seconds_to_line("step   1/", command, environment)
            if index:  # the first round prepares the data
                times[cache].append(seconds)
    ratio = summarize_ratio(times["filled"], times["empty"])
    return {"first_step": {name: summarize(values) for name, values in times.items()} | {"ratio": ratio}}


def seconds_to_line(start: str, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a Python command until it prints a line to stderr that starts so; return the seconds until then.

    Raises:
        RuntimeError: it ends before; the message is what it printed.
    """
    begin, printed = time.perf_counter(), []
    own = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=own | dict(environment), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():
                printed.append(line)
                if " ".join(line.split()).startswith(" ".join(start.split())):
                    return time.perf_counter() - begin
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    raise RuntimeError("".join(printed))


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Format all times as a table."""
    rows = [
        [name, show(found["seconds"]), show(found["ratio"])] for name, found in report["commands"].items()
    ]
    for cache in ("empty", "filled"):
        rows.append([f"digits demo, first step, {cache} cache", show(report["first_step"][cache]), ""])
    return {"title": "Starting", "columns": ["", "seconds", f"over `{BASELINE}`"], "rows": rows}


def _run(command: Sequence[str]) -> Callable[[], Any]:
    return lambda: subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()

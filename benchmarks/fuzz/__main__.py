"""Feed damaged and synthetic inputs to every reader of users' files and options, and count the outcomes.

python -m benchmarks.fuzz [READER ...] [--inputs N] [--seed S] [--json FILE]

An input is read, or refused with one line; anything else is an uncaught exception, which is reported with its
location. The address space is limited, so that unbounded memory use counts as uncaught. The exit status is 1
if there is any. Needs the extra [dev] and torch.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import logging
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.fuzz.case import Case, feed
from benchmarks.fuzz.cases import CASES
from benchmarks.measurement import describe_machine, write_report
from lctr_jax.host.paths import path_argument

CHUNK = 500  # inputs per seed, since hypothesis remembers all of them
HEADROOM = 4 << 30  # bytes of address space beyond those at the start of the process


@dataclass
class Tally:
    """The outcomes of one reader's inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    uncaught: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0

    def row(self, reader: str) -> list[str]:
        """Return the reader's row of the table."""
        counts = (self.outcomes.total() + self.uncaught.total(), *map(self.outcomes.get, ("read", "refused")))
        columns = [f"{count or 0:,}" for count in (*counts, self.uncaught.total())]
        return [reader, *columns, f"{1000 * self.slowest:.0f}", f"{self.seconds:.0f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    _limit_memory()
    warnings.simplefilter("ignore")
    logging.disable()
    tallies = {reader: run(reader, inputs=options.inputs, seed=options.seed) for reader in options.readers}
    report = {
        "machine": describe_machine("hypothesis"),
        "tables": [
            {
                "title": f"seed {options.seed}",
                "columns": ["reader", "inputs", "read", "refused", "uncaught", "slowest, ms", "seconds"],
                "rows": [tally.row(reader) for reader, tally in tallies.items()],
            }
        ],
        "notes": [
            f"{reader}: {count} x {what}"
            for reader, tally in tallies.items()
            for what, count in tally.uncaught.most_common()
        ],
    }
    write_report(report, options.json)
    sys.exit(any(tally.uncaught for tally in tallies.values()))


def run(reader: str, *, inputs: int, seed: int) -> Tally:
    """Feed a reader at least that many inputs, divided equally among its cases."""
    cases = [case for case in CASES if case.reader == reader]
    tally, start = Tally(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            scratch = Path(folder, str(number))
            scratch.mkdir()
            _run_case(case, scratch, tally, inputs=-(-inputs // len(cases)), seed=seed)
    tally.seconds = time.perf_counter() - start
    return tally


def _run_case(case: Case, folder: Path, tally: Tally, *, inputs: int, seed: int) -> None:
    done, chunk = 0, 0
    while done < inputs:

        @hypothesis.seed(seed << 32 | chunk)
        @settings(
            max_examples=min(CHUNK, inputs - done),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        )
        @given(case.inputs)
        def feed_all(content):
            nonlocal done
            done += 1
            _feed(case, folder, content, tally)

        feed_all()
        chunk += 1


def _feed(case: Case, folder: Path, content: object, tally: Tally) -> None:
    start = time.perf_counter()
    try:
        tally.outcomes[feed(case, folder, content)] += 1
    except Exception as error:  # counting exceptions is the purpose
        tally.uncaught[_place(error)] += 1
    tally.slowest = max(tally.slowest, time.perf_counter() - start)


def _place(error: Exception) -> str:
    """Describe the exception and the last line of our code in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "lctr_jax" in frame.filename or "benchmarks" in frame.filename]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:120]}"


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _parser() -> argparse.ArgumentParser:
    readers = list(dict.fromkeys(case.reader for case in CASES))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "readers", nargs="*", default=readers, metavar="READER", help=f"of {', '.join(readers)}"
    )
    parser.add_argument("--inputs", type=int, default=50_000, metavar="N", help="for each reader")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

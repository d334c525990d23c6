"""Compare evaluations of the same images on one page.

    python -m lctr_jax.compare RUN RUN... [--out FILE.html]

RUN is the --workdir of an evaluated run, or a folder of several seeds, such as WORKDIR/METHOD of
`lctr_jax.ablate`. The page is self-contained. It shows the metrics with their intervals, the differences from
the first run with paired bootstrap intervals, accuracy at all thresholds, and the same images under all runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_file_destination


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    require_file_destination(options.out)
    # Seconds, which --help does not need.
    from lctr_jax.report.comparison_page import write_comparison
    from lctr_jax.report.environment import describe_environment
    from lctr_jax.run.comparison import open_runs

    runs = open_runs(options.runs)
    folders = {f"run {number}": str(run) for number, run in enumerate(options.runs, 1)}
    sentences = write_comparison(options.out, runs, facts=folders | describe_environment())
    for sentence in sentences:
        print(sentence)
    print(f"page: {options.out}")


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "runs", type=path_argument, nargs="+", metavar="RUN", help="a run's --workdir, or a folder of seeds"
    )
    parser.add_argument(
        "--out", type=path_argument, default=Path("comparison.html"), metavar="FILE", help="the page to write"
    )
    return parser


if __name__ == "__main__":
    main()

"""Summarize several runs: mean and standard deviation over seeds, and the values of all runs.

    python -m lctr_jax.summarize RUN RUN... [--json FILE]

Runs that are not different seeds of one config are refused.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import path_argument, require_file_destination


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    if options.json:
        require_file_destination(options.json)
    from lctr_jax.run.seed_summary import has_config, summarize_folders  # seconds, which --help does not need

    summary = summarize_folders(options.runs)
    if unknown := [str(run) for run in options.runs if not has_config(run)]:
        print(f"{', '.join(unknown)}: no eval/config.json, so not verified to be a seed of the same config")
    Console().print(make_table(summary))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")


def make_table(summary: dict[str, Any]) -> Table:
    """Build a table with one row per metric: mean, standard deviation and the values of all runs."""
    from lctr_jax.run.seed_summary import SAME

    facts = ", ".join(f"{key} {summary[key]}" for key in SAME if key in summary)
    table = Table(title=escape(f"{facts}; in percent except threshold"))
    for column in ("metric", "mean", "std", *summary["runs"]):
        table.add_column(escape(column), justify="left" if column == "metric" else "right")
    for name, spread in summary["metrics"].items():
        digits = 3 if name == "threshold" else 2
        std = "" if spread["std"] is None else f"{spread['std']:.{digits}f}"
        values = [f"{value:.{digits}f}" for value in spread["values"]]
        table.add_row(escape(name), f"{spread['mean']:.{digits}f}", std, *values)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.summarize", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", type=path_argument, nargs="+", metavar="RUN", help="a run's --workdir")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="also write the results to FILE")
    return parser


if __name__ == "__main__":
    main()

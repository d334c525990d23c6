"""Train and evaluate methods on backbones with several seeds, and write their table: one command per study.

Methods with the same head share their training, since they differ only in their maps. The same command
continues after an interruption. It writes WORKDIR/METHOD/SEED (of several backbones:
WORKDIR/BACKBONE/METHOD/SEED), each an ordinary workdir, and the table of all metrics as WORKDIR/ablation.md,
.tex, .csv and .json.

--backbones NAME,NAME=WEIGHTS,.. compares backbones, each from its own initial weights; NAME alone starts
from the config's init_from. --config.a.b=value sets an option for all methods, and
--method_options METHOD:a.b=value, which may be repeated, for one.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import join_processes
from lctr_jax.distributed.stopping import stop_status
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import expand
from lctr_jax.models.methods import METHODS, get_method
from lctr_jax.run.ablation import carry_out, check_initial_weights, plan_runs, write_results
from lctr_jax.run.ablation_rows import Row, plan_rows
from lctr_jax.run.compilation_cache import enable_compilation_cache
from lctr_jax.run.config import RunConfig
from lctr_jax.run.flags import define_processes, parse_flags, read_processes, replace_options
from lctr_jax.run.settled_options import check_config, settle_options

USAGE = (
    "python -m lctr_jax.ablate [--config configs/NAME.py|NAME] [--workdir DIR] [--methods A,B,..] "
    "[--backbones NAME=WEIGHTS,..] [--seeds N] [--config.a.b=value ...] "
    "[--method_options METHOD:a.b=value ...] [--coordinator HOST:PORT --num_processes N --process_id I]"
)


class AblationArguments(NamedTuple):
    """The parsed command line; `processes` are arguments of `join_processes`."""

    workdir: Path
    rows: list[tuple[Row, ConfigDict]]
    seeds: int
    processes: dict[str, Any]


@one_line_errors()
@stop_status()
def main() -> None:
    """Run the ablation given in `sys.argv`."""
    if {"-h", "--help"} & set(sys.argv):
        methods = [f"  {name:<19}{get_method(name).description}" for name in METHODS]
        heading = f"{__doc__}\nusage: {USAGE}\n\nmethods, or module paths (docs/extending.md):"
        print("\n".join([heading, *methods]))
        return
    workdir, rows, seeds, processes = _parse(sys.argv)
    checked = [(row, check_config(config)) for row, config in rows]
    plan_runs(workdir, checked, seeds=seeds)  # refuses what is impossible
    join_processes(**processes)
    mesh, started, done = make_mesh(fsdp=checked[0][1].train.fsdp), time.monotonic(), 0
    settled = _settle(rows, mesh, workdir)
    check_initial_weights([config for _, config in settled])
    runs = plan_runs(workdir, settled, seeds=seeds)
    interruption = Interruption()
    enable_compilation_cache(_say)
    for number, run in enumerate(runs, 1):
        _say(f"{run.workdir}: run {number} of {len(runs)}")
        done += carry_out(run, mesh, interruption)
    minutes = (time.monotonic() - started) / 60
    _say(f"{done} of {len(runs)} runs done now, in {minutes:.1f} minutes; the others were already finished")
    if jax.process_index() == 0:
        write_results(workdir, [row for row, _ in settled], seeds=seeds, minutes=minutes)


def default_methods() -> list[str]:
    """Return the methods that are compared unless `--methods` is given."""
    return [name for name in METHODS if get_method(name).compared]


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)


def _settle(rows: Sequence[tuple[Row, ConfigDict]], mesh: Mesh, workdir: Path) -> list[tuple[Row, RunConfig]]:
    """Settle what the config leaves open, once for all rows with the same options."""
    settled: dict[tuple[str, ...], RunConfig] = {}
    several = len({row.arguments for row, _ in rows}) > 1
    for row, config in rows:
        if row.arguments not in settled:
            if several:
                _say(f"{workdir / row.folder}: {' '.join(row.arguments) or 'options of the command line'}")
            settled[row.arguments] = settle_options(config, mesh, workdir=workdir / row.folder / "0")
    found = [(row, settled[row.arguments]) for row, _ in rows]
    return [(row._replace(backbone=config.model["name"]), config) for row, config in found]


def _parse(argv: list[str]) -> AblationArguments:
    if not any(argument.partition("=")[0] in ("--config", "-config") for argument in argv):
        argv = [argv[0], "--config=digits", *argv[1:]]
    values = _parse_values(argv)
    rows = plan_rows(values.methods, backbones=values.backbones, method_options=values.method_options)
    return AblationArguments(
        expand(values.workdir),
        [(row, _config_of(row, argv)) for row in rows],
        values.seeds,
        read_processes(values),
    )


def _config_of(row: Row, argv: list[str]) -> ConfigDict:
    """Parse the command line again, with the row's own arguments."""
    try:
        return _parse_values(replace_options(argv, row.arguments)).config
    except ValueError as error:
        raise ValueError(f"--method_options for {row.method}: {error}") from error


def _parse_values(argv: list[str]) -> Any:
    values: Any = flags.FlagValues()
    flags.DEFINE_string("workdir", "runs/ablation", "folder of all runs", flag_values=values)
    flags.DEFINE_list("methods", default_methods(), "methods to compare, in order", flag_values=values)
    flags.DEFINE_list("backbones", [], "NAME or NAME=WEIGHTS of each backbone", flag_values=values)
    flags.DEFINE_multi_string(
        "method_options", [], "METHOD:a.b=value, an option of one method", flag_values=values
    )
    flags.DEFINE_integer("seeds", 3, "number of runs per row, with seeds 0, 1, ..", flag_values=values)
    define_processes(values)
    parse_flags(values, argv, usage=USAGE)
    return values


if __name__ == "__main__":
    main()

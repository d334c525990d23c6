"""Train and evaluate several methods with one config and several seeds: the paper's ablation in one command.

Methods with the same head share their training, since they differ only in their maps. The same command
continues after an interruption. It writes WORKDIR/METHOD/SEED, each an ordinary workdir, and the table as
WORKDIR/ablation.md and ablation.json.
"""

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags
from ml_collections import ConfigDict

from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import join_processes
from lctr_jax.distributed.stopping import stop_status
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import expand
from lctr_jax.models.methods import METHODS, get_method
from lctr_jax.run.ablation import carry_out, plan_runs, write_table
from lctr_jax.run.compilation_cache import enable_compilation_cache
from lctr_jax.run.flags import define_processes, parse_flags, read_processes
from lctr_jax.run.settled_options import check_config, settle_options

USAGE = (
    "python -m lctr_jax.ablate [--config configs/NAME.py|NAME] [--workdir DIR] [--methods A,B,..] "
    "[--seeds N] [--config.a.b=value ...] [--coordinator HOST:PORT --num_processes N --process_id I]"
)


class AblationArguments(NamedTuple):
    """The parsed command line; `processes` are arguments of `join_processes`."""

    workdir: Path
    config: ConfigDict
    methods: tuple[str, ...]
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
    workdir, config, methods, seeds, processes = _parse(sys.argv)
    checked = check_config(config)
    plan_runs(workdir, checked, methods=methods, seeds=seeds)  # refuses what is impossible
    join_processes(**processes)
    mesh, started, done = make_mesh(fsdp=checked.train.fsdp), time.monotonic(), 0
    settled = settle_options(config, mesh, workdir=workdir / methods[0] / "0")
    runs = plan_runs(workdir, settled, methods=methods, seeds=seeds)
    interruption = Interruption()
    enable_compilation_cache(_say)
    for number, run in enumerate(runs, 1):
        _say(f"{run.workdir}: run {number} of {len(runs)}")
        done += carry_out(run, mesh, interruption)
    minutes = (time.monotonic() - started) / 60
    _say(f"{done} of {len(runs)} runs done now, in {minutes:.1f} minutes; the others were already finished")
    if jax.process_index() == 0:
        write_table(workdir, methods=methods, seeds=seeds, minutes=minutes)


def default_methods() -> list[str]:
    """Return the methods that are compared unless `--methods` is given."""
    return [name for name in METHODS if get_method(name).compared]


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)


def _parse(argv: list[str]) -> AblationArguments:
    values: Any = flags.FlagValues()
    flags.DEFINE_string("workdir", "runs/ablation", "folder of all runs", flag_values=values)
    flags.DEFINE_list("methods", default_methods(), "methods to compare, in order", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "number of runs per method, with seeds 0, 1, ..", flag_values=values)
    define_processes(values)
    if not any(argument.partition("=")[0] in ("--config", "-config") for argument in argv):
        argv = [argv[0], "--config=digits", *argv[1:]]
    parse_flags(values, argv, usage=USAGE)
    processes = read_processes(values)
    return AblationArguments(
        expand(values.workdir), values.config, tuple(values.methods), values.seeds, processes
    )


if __name__ == "__main__":
    main()

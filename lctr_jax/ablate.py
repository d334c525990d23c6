"""Train and evaluate every method by one config and several seeds: the paper's ablation as one command.

A method whose head another one before it has trained is not trained again: the two differ in maps alone.
Run again, the command goes on where it was stopped. It writes WORKDIR/METHOD/SEED, each an ordinary run's
folder, and the table as WORKDIR/ablation.md and ablation.json.
"""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags
from jax.sharding import Mesh

from lctr_jax.ablation_table import markdown_table
from lctr_jax.command_flags import define_processes, parse_flags, read_processes
from lctr_jax.config import RunConfig, parse_config
from lctr_jax.errors import one_line_errors
from lctr_jax.evaluation_job import evaluate_checkpoint
from lctr_jax.experiment import open_experiment
from lctr_jax.models.sizes import METHODS
from lctr_jax.run_config import is_recorded, record_config
from lctr_jax.summarize import read_metrics, summarize_runs
from lctr_jax.training.interruption import Interruption, stop_status
from lctr_jax.training.mesh import make_mesh
from lctr_jax.training.processes import decide_together, join_processes
from lctr_jax.training_job import train_and_evaluate

DEFAULT_METHODS = ("lctr", "lctr_without_rpam", "lctr_without_cdm", "tscam", "rollout", "cam")

USAGE = (
    "python -m lctr_jax.ablate [--config configs/NAME.py|NAME] [--workdir DIR] [--methods A,B,..] "
    "[--seeds N] [--config.a.b=value ...] [--coordinator HOST:PORT --num_processes N --process_id I]"
)


class Command(NamedTuple):
    """What is asked for; `processes`: the arguments of `join_processes`."""

    workdir: Path
    config: RunConfig
    methods: tuple[str, ...]
    seeds: int
    processes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One method and seed: its folder, its config, and the run that trains its head, if another does."""

    workdir: Path
    config: RunConfig
    trained_in: Path | None


@one_line_errors()
@stop_status()
def main() -> None:
    """Run the ablation that `sys.argv` asks for; a user's mistake exits 2 with one line."""
    if {"-h", "--help"} & set(sys.argv):
        print(f"{__doc__}\nusage: {USAGE}")
        return
    workdir, config, methods, seeds, processes = _parse(sys.argv)
    runs = plan_runs(workdir, config, methods=methods, seeds=seeds)
    join_processes(**processes)
    mesh, started, done = make_mesh(fsdp=config.train.fsdp), time.monotonic(), 0
    interruption = Interruption()
    for number, run in enumerate(runs, 1):
        _say(f"{run.workdir}: run {number} of {len(runs)}")
        done += carry_out(run, mesh, interruption)
    minutes = (time.monotonic() - started) / 60
    _say(f"{done} of {len(runs)} runs done now, in {minutes:.1f} minutes; the others were found finished")
    if jax.process_index() == 0:
        write_table(workdir, methods=methods, seeds=seeds, minutes=minutes)


def plan_runs(workdir: Path, config: RunConfig, *, methods: Sequence[str], seeds: int) -> list[Run]:
    """The runs in order, seed after seed, so that a table of fewer seeds is whole before the next begins.

    Raises:
        ValueError: a method is unknown or given twice, or there are no seeds.
    """
    if unknown := [method for method in methods if method not in METHODS]:
        raise ValueError(f"--methods: got {unknown[0]!r}, expected some of {','.join(METHODS)}")
    if len(set(methods)) < len(methods):
        raise ValueError(f"--methods: got {','.join(methods)}, expected each once")
    if seeds < 1:
        raise ValueError(f"--seeds: got {seeds}, expected 1 or more")
    runs = []
    for seed in range(seeds):
        trained: dict[str, Path] = {}
        for method in methods:
            folder, head = workdir / method / str(seed), METHODS[method]
            own = replace(config, seed=seed, model={**config.model, "method": method})
            runs.append(Run(workdir=folder, config=own, trained_in=trained.get(head)))
            trained.setdefault(head, folder)
    return runs


def carry_out(run: Run, mesh: Mesh, interruption: Interruption) -> bool:
    """Train and evaluate, or evaluate alone; false where the folder holds the finished run already.

    Raises:
        ValueError: the folder holds a run of another config, or as training and evaluation raise it.
        FileNotFoundError: the data or the weights to start from are missing.
    """
    metrics = run.workdir / "eval" / "metrics.json"
    if decide_together(lambda: metrics.is_file() and is_recorded(run.workdir, run.config)):
        return False
    first = jax.process_index() == 0
    with open_experiment(run.config, run.workdir, mesh, interruption) as experiment:
        if first:
            metrics.unlink(missing_ok=True)  # of another evaluation: what is there counts as finished
        if run.trained_in is None:
            train_and_evaluate(experiment)
            return True
        if first:
            record_config(run.workdir, run.config)
        evaluate_checkpoint(experiment, str(run.trained_in))
    return True


def write_table(workdir: Path, *, methods: Sequence[str], seeds: int, minutes: float) -> None:
    """Print the table and write it as `ablation.md` and, with every run's values, `ablation.json`."""
    summaries = {}
    for method in methods:
        folders = [workdir / method / str(seed) for seed in range(seeds)]
        summaries[method] = summarize_runs({str(folder): read_metrics(folder) for folder in folders})
    table, command = markdown_table(summaries), shlex.join(["python", "-m", "lctr_jax.ablate", *sys.argv[1:]])
    print(table)
    (workdir / "ablation.md").write_text(f"{table}\n\n`{command}`\n")
    facts = {"command": command, "minutes": round(minutes, 2), "methods": summaries}
    (workdir / "ablation.json").write_text(json.dumps(facts, indent=2) + "\n")


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)


def _parse(argv: list[str]) -> Command:
    values: Any = flags.FlagValues()
    flags.DEFINE_string("workdir", "runs/ablation", "the folder of all runs", flag_values=values)
    flags.DEFINE_list("methods", list(DEFAULT_METHODS), "what to compare, in order", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "runs of each method, seeds 0, 1, ..", flag_values=values)
    define_processes(values)
    if not any(argument.partition("=")[0] in ("--config", "-config") for argument in argv):
        argv = [argv[0], "--config=digits", *argv[1:]]
    parse_flags(values, argv, usage=USAGE)
    config, processes = parse_config(values.config), read_processes(values)
    return Command(Path(values.workdir), config, tuple(values.methods), values.seeds, processes)


if __name__ == "__main__":
    main()

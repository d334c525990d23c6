"""The runs of an ablation, every method with several seeds, and their table."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
from jax.sharding import Mesh

from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import decide_together
from lctr_jax.models.methods import METHODS, get_method
from lctr_jax.plugins import is_module_path
from lctr_jax.run.ablation_table import markdown_table
from lctr_jax.run.config import RunConfig
from lctr_jax.run.evaluate import evaluate_checkpoint
from lctr_jax.run.execution_settings import settle_dtype
from lctr_jax.run.experiment import open_experiment
from lctr_jax.run.saved_config import is_recorded, record_config
from lctr_jax.run.seed_summary import summarize_folders
from lctr_jax.run.train import train_and_evaluate


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """One method and seed: its folder, its config, and the run that trains its head, if it is another one."""

    workdir: Path
    config: RunConfig
    trained_in: Path | None


def plan_runs(workdir: Path, config: RunConfig, *, methods: Sequence[str], seeds: int) -> list[AblationRun]:
    """Return the runs in order of seeds, so that all methods have a seed before the next one starts.

    Raises:
        ValueError: a method is unknown or repeated, or there are no seeds.
    """
    if unknown := [method for method in methods if method not in METHODS and not is_module_path(method)]:
        raise ValueError(
            f"--methods: got {unknown[0]!r}, expected a list from {','.join(METHODS)}, or module paths"
        )
    if len(set(methods)) < len(methods):
        raise ValueError(f"--methods: got {','.join(methods)}, expected each once")
    if seeds < 1:
        raise ValueError(f"--seeds: got {seeds}, expected 1 or more")
    runs = []
    for seed in range(seeds):
        trained: dict[str, Path] = {}
        for method in methods:
            folder, head = workdir / method / str(seed), get_method(method).head
            own = replace(config, seed=seed, model={**config.model, "method": method})
            runs.append(AblationRun(workdir=folder, config=own, trained_in=trained.get(head)))
            trained.setdefault(head, folder)
    return runs


def carry_out(run: AblationRun, mesh: Mesh, interruption: Interruption) -> bool:
    """Train and evaluate, or only evaluate; return false if the folder contains the finished run.

    Raises:
        ValueError: the folder contains a run of another config; also raised by training and evaluation.
        FileNotFoundError: the data or the initial weights are missing.
    """
    metrics = run.workdir / "eval" / "metrics.json"
    config = settle_dtype(run.config, mesh)
    if decide_together(lambda: metrics.is_file() and is_recorded(run.workdir, config)):
        return False
    first = jax.process_index() == 0
    with open_experiment(config, run.workdir, mesh, interruption) as experiment:
        if first:
            metrics.unlink(missing_ok=True)  # from another evaluation; the file marks a finished run
        if run.trained_in is None:
            train_and_evaluate(experiment)
            return True
        if first:
            record_config(run.workdir, config)
        evaluate_checkpoint(experiment, str(run.trained_in))
    return True


def write_table(workdir: Path, *, methods: Sequence[str], seeds: int, minutes: float) -> None:
    """Print the table and write it as `ablation.md` and, with the values of every run, `ablation.json`."""
    summaries = {}
    for method in methods:
        folders = [workdir / method / str(seed) for seed in range(seeds)]
        summaries[method] = summarize_folders(folders)
    table, command = markdown_table(summaries), shlex.join(["python", "-m", "lctr_jax.ablate", *sys.argv[1:]])
    print(table)
    (workdir / "ablation.md").write_text(f"{table}\n\n`{command}`\n")
    facts = {"command": command, "minutes": round(minutes, 2), "methods": summaries}
    (workdir / "ablation.json").write_text(json.dumps(facts, indent=2) + "\n")

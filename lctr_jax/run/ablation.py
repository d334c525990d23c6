"""The runs of an ablation, every row of its table with several seeds, and their summaries."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
from jax.sharding import Mesh

from lctr_jax.checkpoints.transfer import read_initial_metadata, require_backbone
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.processes import decide_together
from lctr_jax.models.methods import get_method
from lctr_jax.run.ablation_formats import csv_table, latex_table, markdown_table
from lctr_jax.run.ablation_rows import Row
from lctr_jax.run.ablation_table import AblationTable, tabulate
from lctr_jax.run.config import RunConfig
from lctr_jax.run.evaluate import evaluate_checkpoint
from lctr_jax.run.execution_settings import settle_dtype
from lctr_jax.run.experiment import find_initial_weights, open_experiment
from lctr_jax.run.saved_config import is_recorded, record_config, training_options
from lctr_jax.run.seed_summary import summarize_folders
from lctr_jax.run.train import train_and_evaluate


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """One row and seed: its folder, its config, and the run that trains its head, if it is another one."""

    workdir: Path
    config: RunConfig
    trained_in: Path | None


def plan_runs(workdir: Path, rows: Sequence[tuple[Row, RunConfig]], *, seeds: int) -> list[AblationRun]:
    """Return the runs in order of seeds, so that all rows have a seed before the next one starts.

    Rows with the same head and the same training options share a training.

    Raises:
        ValueError: there are no seeds.
    """
    if seeds < 1:
        raise ValueError(f"--seeds: got {seeds}, expected 1 or more")
    runs = []
    for seed in range(seeds):
        trained: dict[tuple[str, str], Path] = {}
        for row, config in rows:
            folder, head = workdir / row.folder / str(seed), get_method(row.method).head
            own = replace(config, seed=seed, model={**config.model, "method": row.method})
            training = head, training_options(own, apart_from=("model.method",))
            runs.append(AblationRun(workdir=folder, config=own, trained_in=trained.get(training)))
            trained.setdefault(training, folder)
    return runs


def check_initial_weights(configs: Sequence[RunConfig]) -> None:
    """Check that the initial weights fit every backbone, before the first one is trained.

    Raises:
        FileNotFoundError: there are no such weights.
        ModuleNotFoundError: reading them needs a package that is not installed.
        OSError: converted weights cannot be kept.
        ValueError: they cannot be fetched or converted, or are of a backbone of another shape.
    """
    metadata = {}
    for config in configs:
        if not (source := config.init_from):
            continue
        if source not in metadata:
            metadata[source] = read_initial_metadata(find_initial_weights(source, config.data.data_dir))
        require_backbone(metadata[source], config.spec(num_classes=1), path=source)


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


def write_results(workdir: Path, rows: Sequence[Row], *, seeds: int, minutes: float) -> None:
    """Print the table; write it as `ablation.md`, `.tex`, `.csv`, and with all values, `.json`."""
    summaries = {
        row.folder: summarize_folders([workdir / row.folder / str(seed) for seed in range(seeds)])
        for row in rows
    }
    table = tabulate([(row, summaries[row.folder]) for row in rows])
    command = shlex.join(["python", "-m", "lctr_jax.ablate", *sys.argv[1:]])
    print(markdown_table(table))
    _write_tables(workdir, table, command)
    facts = {"command": command, "minutes": round(minutes, 2), "methods": summaries}
    (workdir / "ablation.json").write_text(json.dumps(facts, indent=2) + "\n")


def _write_tables(workdir: Path, table: AblationTable, command: str) -> None:
    (workdir / "ablation.md").write_text(f"{markdown_table(table)}\n\n`{command}`\n")
    (workdir / "ablation.tex").write_text(latex_table(table, command=command))
    (workdir / "ablation.csv").write_text(csv_table(table))

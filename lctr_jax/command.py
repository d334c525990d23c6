"""Train and evaluate LCTR, or evaluate a checkpoint: the command line behind train.py and lctr-train."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict

from lctr_jax.command_flags import parse_flags
from lctr_jax.config import parse_config
from lctr_jax.errors import one_line_errors
from lctr_jax.evaluation_job import evaluate_checkpoint
from lctr_jax.experiment import open_experiment
from lctr_jax.training.interruption import Interruption, stop_status
from lctr_jax.training.mesh import make_mesh
from lctr_jax.training_job import train_and_evaluate

USAGE = (
    "train.py|lctr-train --config configs/NAME.py|NAME [--workdir DIR] [--config.a.b=value ...] "
    "[--profile A-B] [--eval --checkpoint PATH]"
)


class Command(NamedTuple):
    """What the command line asks for; `checkpoint` to evaluate instead of training."""

    config: ConfigDict
    workdir: Path
    checkpoint: str | None


@one_line_errors()
@stop_status()
def main() -> None:
    """Train, or evaluate with --eval, as `sys.argv` says; a user's mistake exits 2 with one line."""
    if {"-h", "--help"} & set(sys.argv):
        print(f"{__doc__}\n\nusage: {USAGE}")
        return
    command = _parse(sys.argv)
    config = parse_config(command.config)
    mesh = make_mesh(fsdp=config.train.fsdp)
    with open_experiment(config, command.workdir, mesh, Interruption()) as experiment:
        if command.checkpoint is None:
            train_and_evaluate(experiment)
        else:
            evaluate_checkpoint(experiment, command.checkpoint)


def _parse(argv: list[str]) -> Command:
    values: Any = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder; runs/NAME unless given", flag_values=values)
    flags.DEFINE_string("profile", None, "A-B: trace these steps into WORKDIR/profile", flag_values=values)
    flags.DEFINE_bool("eval", False, "evaluate --checkpoint instead of training", flag_values=values)
    flags.DEFINE_string("checkpoint", None, "what --eval evaluates", flag_values=values)
    file = parse_flags(values, argv, usage=USAGE)
    if values.eval != bool(values.checkpoint):
        raise ValueError("--eval and --checkpoint PATH go together; leave both out to train")
    if values.profile is not None:
        values.config.train.profile = values.profile
    return Command(values.config, Path(values.workdir or Path("runs") / file.stem), values.checkpoint)

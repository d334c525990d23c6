"""Train and evaluate LCTR, or evaluate a checkpoint: the command behind train.py and lctr-train."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lctr_jax.distributed.stopping import stop_status
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import expand, expand_text
from lctr_jax.run.flags import define_processes, parse_flags, read_processes

if TYPE_CHECKING:
    from ml_collections import ConfigDict

USAGE = (
    "train.py|lctr-train --config configs/NAME.py|NAME [--workdir DIR] [--config.a.b=value ...] "
    "[--dry_run] [--profile A-B] [--eval --checkpoint PATH] "
    "[--coordinator HOST:PORT --num_processes N --process_id I]"
)


class TrainArguments(NamedTuple):
    """The parsed command line: training, evaluation of `checkpoint`, or a `dry_run`.

    `processes` are the arguments of `join_processes`.
    """

    config: "ConfigDict"
    workdir: Path
    checkpoint: str | None
    dry_run: bool
    processes: dict[str, Any]


@one_line_errors()
@stop_status()
def main() -> None:
    """Train, or evaluate with --eval, as given in `sys.argv`."""
    if {"-h", "--help"} & set(sys.argv):
        print(_help())
        return
    _execute(_parse(sys.argv))


def _execute(command: TrainArguments) -> None:
    # Imported here: JAX and the readers of data take seconds, which --help does not need.
    from lctr_jax.distributed.mesh import describe_devices, make_mesh
    from lctr_jax.distributed.preemption import Interruption
    from lctr_jax.distributed.processes import join_processes
    from lctr_jax.run.compilation_cache import enable_compilation_cache
    from lctr_jax.run.dry_run import dry_run
    from lctr_jax.run.evaluate import evaluate_checkpoint
    from lctr_jax.run.execution_settings import settle_dtype
    from lctr_jax.run.experiment import open_experiment
    from lctr_jax.run.settled_options import check_config, settle_options
    from lctr_jax.run.train import train_and_evaluate

    config = check_config(command.config)
    join_processes(**command.processes)
    mesh = make_mesh(fsdp=config.train.fsdp)
    config = settle_options(
        command.config,
        mesh,
        workdir=None if command.dry_run else command.workdir,
        checkpoint=command.checkpoint,
    )
    config = settle_dtype(config, mesh)
    with open_experiment(
        config,
        command.workdir,
        mesh,
        Interruption(),
        hold=not command.dry_run,
        trains=command.checkpoint is None,
    ) as experiment:
        experiment.log.say(f"on {describe_devices(mesh)}")
        enable_compilation_cache(experiment.log.say)
        if command.dry_run:
            dry_run(experiment)
        elif command.checkpoint is None:
            train_and_evaluate(experiment)
        else:
            evaluate_checkpoint(experiment, command.checkpoint)


def _help() -> str:
    from lctr_jax.run.option_help import list_options

    own = _define_flags()
    lines = [f"  --{name:<17}{own[name].help}" for name in own]
    intro = "options of the config, with the published defaults; a config file may set others:"
    return "\n".join([f"{__doc__}\n\nusage: {USAGE}\n", *lines, f"\n{intro}\n", list_options()])


def _parse(argv: list[str]) -> TrainArguments:
    values = _define_flags()
    file = parse_flags(values, argv, usage=USAGE)
    if values.eval != bool(values.checkpoint):
        raise ValueError("--eval and --checkpoint PATH go together; leave both out to train")
    if values.dry_run and values.eval:
        raise ValueError("--dry_run estimates a training: leave out --eval and --checkpoint")
    if values.profile is not None:
        values.config.train.profile = values.profile
    workdir = expand(values.workdir or Path("runs") / file.stem)
    checkpoint = values.checkpoint and expand_text(values.checkpoint)
    return TrainArguments(values.config, workdir, checkpoint, values.dry_run, read_processes(values))


def _define_flags() -> Any:
    """Define the command's own flags in absl's `FlagValues`."""
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder; by default runs/NAME", flag_values=values)
    flags.DEFINE_bool(
        "dry_run", False, "take a step and estimate the cost; write nothing", flag_values=values
    )
    flags.DEFINE_string("profile", None, "A-B: trace these steps into WORKDIR/profile", flag_values=values)
    flags.DEFINE_bool("eval", False, "evaluate --checkpoint instead of training", flag_values=values)
    flags.DEFINE_string("checkpoint", None, "the checkpoint that --eval evaluates", flag_values=values)
    define_processes(values)
    return values


if __name__ == "__main__":
    main()

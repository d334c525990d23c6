"""The training half of the main job: data, network and optimizer as the config describes them, to the end."""

from contextlib import closing

import jax
import optax

from lctr_jax import recipe
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.data.datasets import Split
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.evaluation_job import evaluate
from lctr_jax.experiment import Experiment
from lctr_jax.look import look
from lctr_jax.models.sizes import ModelSpec
from lctr_jax.run_config import as_json, record_config, require_same
from lctr_jax.training.best_checkpoint import BestCheckpoint
from lctr_jax.training.loop import train
from lctr_jax.training.meter import NonFiniteLossError
from lctr_jax.training.optimizer import adamw
from lctr_jax.training.profiling import parse_span, traced
from lctr_jax.training.run_checkpoints import Progress, RunCheckpoints
from lctr_jax.training.state import TrainState


def train_and_evaluate(experiment: Experiment) -> None:
    """Train, from the folder's newest sound checkpoint if there is one, then evaluate.

    Raises:
        ValueError: an option is impossible, the data or a checkpoint does not fit, or the loss diverges.
        FileNotFoundError: the data or the checkpoint to start from is missing.
        Interrupted: the run was asked to stop.
    """
    split, spec, evaluator = recipe.open_training(experiment)
    state = _train(experiment, split, spec, evaluator)
    evaluate(experiment, evaluator, spec, state.weights, weights=f"trained here, {int(state.step)} steps")


def _train(experiment: Experiment, split: Split, spec: ModelSpec, evaluator: Evaluator) -> TrainState:
    config, log, asked = experiment.config, experiment.log, as_json(experiment.config)
    batches = recipe.open_batches(config, split, spec)
    schedule = recipe.make_schedule(config.train, batches.steps_per_epoch)
    optimizer = adamw(schedule, weight_decay=config.train.weight_decay)
    metadata = _metadata(experiment, split, spec)
    best = _best(experiment, metadata)
    with closing(RunCheckpoints(experiment.workdir, metadata, keep=config.train.keep_checkpoints)) as kept:
        progress = kept.progress()
        if progress:
            require_same(experiment.workdir, asked, progress.config)
            batches.set_state(progress.batches)
        if jax.process_index() == 0:
            record_config(experiment.workdir, config)
        experiment.open_log()
        state = _start(experiment, spec, optimizer, kept)

        def save(state: TrainState, step: int, looked: bool) -> None:
            kept.save(state, step, Progress(feed.get_state(), asked, looked))

        def look_at(state: TrainState, step: int) -> None:
            scalars = look(experiment, evaluator, state.weights, step)
            if best and best.offer(state, step, scalars):
                log.say(f"best {config.train.keep_best} so far: {best.folder}")

        step_fn = recipe.compile_training(config, experiment.mesh, state, spec, optimizer)
        span = parse_span(config.train.profile) if jax.process_index() == 0 else None
        with (
            closing(recipe.feed_devices(experiment, batches)) as feed,
            traced(step_fn, span, experiment.workdir / "profile", steps_taken=int(state.step)) as step_fn,
        ):
            try:
                return train(
                    state,
                    step_fn,
                    feed,
                    plan=recipe.make_plan(config.train, batches.steps_per_epoch),
                    schedule=schedule,
                    log=log,
                    save=save,
                    evaluate=look_at,
                    interruption=experiment.interruption,
                    looked=progress is None or progress.looked,
                )
            except NonFiniteLossError as error:
                raise ValueError(f"{error}; last good checkpoint: {kept.newest or 'none'}") from error


def _best(experiment: Experiment, metadata: Metadata) -> BestCheckpoint | None:
    metric = experiment.config.train.keep_best
    return BestCheckpoint(experiment.workdir, metadata, metric=metric) if metric else None


def _start(
    experiment: Experiment,
    spec: ModelSpec,
    optimizer: optax.GradientTransformation,
    checkpoints: RunCheckpoints,
) -> TrainState:
    """The newest checkpoint's state, or a new one, placed on the devices."""
    if checkpoints.latest_step is None:
        return recipe.initialize_state(experiment, spec, optimizer, init_from=experiment.config.init_from)
    state = checkpoints.restore(recipe.initialize_state(experiment, spec, optimizer, init_from=""))
    experiment.log.say(f"resuming at step {int(state.step)}")
    return state


def _metadata(experiment: Experiment, split: Split, spec: ModelSpec) -> Metadata:
    known = len(split.class_names) == spec.num_classes
    names = tuple(split.class_names) if known else None
    source = f"training in {experiment.workdir}"
    return Metadata(kind="network", spec=spec, class_names=names, source=source)

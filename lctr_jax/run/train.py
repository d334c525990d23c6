"""Training of a run from its config, including resuming, checkpoints and validation."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import jax
from jax.stages import Wrapped

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.data.datasets import Split
from lctr_jax.data.pipeline import TrainIterator
from lctr_jax.distributed.processes import raise_together
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.models.methods import get_method
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run import assembly
from lctr_jax.run.data_workers import describe_feeding
from lctr_jax.run.evaluate import evaluate
from lctr_jax.run.experiment import Experiment
from lctr_jax.run.inputs import tie_to_inputs
from lctr_jax.run.saved_config import as_json, record_config, require_same
from lctr_jax.run.validation import validate
from lctr_jax.training.best_checkpoint import BestCheckpoint
from lctr_jax.training.loop import Training
from lctr_jax.training.meter import NonFiniteLossError
from lctr_jax.training.plan import Agenda, Plan
from lctr_jax.training.profile_span import parse_span
from lctr_jax.training.profiling import traced
from lctr_jax.training.run_checkpoints import Progress, RunCheckpoints
from lctr_jax.training.state import TrainState


def train_and_evaluate(experiment: Experiment) -> None:
    """Train, resuming from the folder's newest undamaged checkpoint, if any; then evaluate.

    Raises:
        ValueError: an option is invalid, the data or a checkpoint does not match, or the loss diverges.
        FileNotFoundError: the data or the initial checkpoint is missing.
        Interrupted: the run was asked to stop.
    """
    split, spec, evaluator = assembly.open_training(experiment)
    state = _train(experiment, split, spec, evaluator)
    evaluate(experiment, evaluator, spec, state.weights, steps=int(state.step))


def _train(experiment: Experiment, split: Split, spec: ModelSpec, evaluator: Evaluator) -> TrainState:
    config = experiment.config
    batches = assembly.open_batches(experiment, split, spec)
    experiment.log.say(describe_feeding(experiment.workers, batches))
    plan = Plan(config.train, batches.steps_per_epoch)
    with _open_checkpoints(experiment, _metadata(experiment, split, spec)) as (checkpoints, best):
        evaluated, inputs = _take_up(experiment, split, checkpoints, batches)
        experiment.open_log()
        state = _start(experiment, spec, checkpoints)
        step_fn = assembly.compile_training(
            config, experiment.mesh, state, spec, steps_per_epoch=plan.steps_per_epoch
        )
        with (
            closing(assembly.feed_devices(experiment, batches)) as feed,
            _profiled(experiment, step_fn, steps_taken=int(state.step)) as step_fn,
            _report_last_good(checkpoints),
        ):

            def save(state: TrainState, step: int, evaluated: bool) -> None:
                checkpoints.save(state, step, Progress(feed.get_state(), as_json(config), evaluated, inputs))

            stopped = evaluated and best is not None and plan.stops_at(int(state.step), best=best.step)
            return Training(
                state,
                step_fn,
                feed,
                agenda=Agenda(plan, step=int(state.step), evaluated=evaluated, stopped=stopped),
                log=experiment.log,
                save=save,
                evaluate=partial(_validate, experiment, evaluator, plan, best),
                interruption=experiment.interruption,
            ).run()


@contextmanager
def _open_checkpoints(
    experiment: Experiment, metadata: Metadata
) -> Iterator[tuple[RunCheckpoints, BestCheckpoint | None]]:
    """Open the run's checkpoints and, if configured, its best one."""
    workdir, options = experiment.workdir, experiment.config.train
    with ExitStack() as stack:
        checkpoints = stack.enter_context(
            closing(RunCheckpoints(workdir, metadata, keep=options.keep_checkpoints))
        )
        best = None
        if options.keep_best:
            best = BestCheckpoint(
                workdir,
                metadata,
                metric=options.keep_best,
                head_metric=options.keep_best_class_head,
                class_head=get_method(metadata.spec.method).class_head,
            )
            stack.enter_context(closing(best))
        yield checkpoints, best


def _take_up(
    experiment: Experiment, split: Split, checkpoints: RunCheckpoints, batches: TrainIterator
) -> tuple[bool, dict[str, str]]:
    """Restore the position in the data from the newest checkpoint, if any, and record the config.

    Returns:
        Whether the validation due at that step is done, and digests of the run's inputs.

    Raises:
        ValueError: the folder contains a run of another config, other images or other initial weights.
    """
    progress = checkpoints.progress()
    if progress:
        require_same(experiment.workdir, as_json(experiment.config), progress.config)
        batches.set_state(progress.batches)
    inputs, error = {}, None
    if jax.process_index() == 0:  # only process 0 reads all images and writes the JSON of checkpoints
        try:
            started = progress.inputs if progress else None
            inputs = tie_to_inputs(experiment.workdir, split, experiment.initial_weights, started)._asdict()
            record_config(experiment.workdir, experiment.config)
        except (ValueError, OSError) as found:
            error = found
    raise_together(error)
    return progress is None or progress.evaluated, inputs


def _profiled(
    experiment: Experiment, step_fn: Wrapped, *, steps_taken: int
) -> AbstractContextManager[Callable[..., Any]]:
    span = parse_span(experiment.config.train.profile) if jax.process_index() == 0 else None
    return traced(step_fn, span, experiment.workdir / "profile", steps_taken=steps_taken)


@contextmanager
def _report_last_good(checkpoints: RunCheckpoints) -> Iterator[None]:
    try:
        yield
    except NonFiniteLossError as error:
        raise ValueError(f"{error}; last good checkpoint: {checkpoints.newest or 'none'}") from error


def _validate(
    experiment: Experiment,
    evaluator: Evaluator,
    plan: Plan,
    best: BestCheckpoint | None,
    state: TrainState,
    step: int,
) -> bool:
    """Validate, keep the weights if they are the best, and return whether to stop (`train.patience`)."""
    scalars = validate(experiment, evaluator, state.weights, step)
    if best is None:
        return False
    if better := best.offer(state, step, scalars):
        experiment.log.say(f"best {' and '.join(better)} so far: {best.folder}")
    if stops := plan.stops_at(step, best=best.step):
        experiment.log.say(
            f"stopping at step {step}: {plan.options.keep_best} has not risen since step {best.step} "
            f"(train.patience={plan.options.patience}); the best weights are in {best.folder}"
        )
    return stops


def _start(
    experiment: Experiment,
    spec: ModelSpec,
    checkpoints: RunCheckpoints,
) -> TrainState:
    """Restore the newest checkpoint's state, or initialize a new one, on the devices."""
    if checkpoints.latest_step is None:
        return assembly.initialize_state(experiment, spec, init_from=experiment.initial_weights)
    state = checkpoints.restore(assembly.initialize_state(experiment, spec, init_from=""))
    experiment.log.say(f"resuming at step {int(state.step)}")
    return state


def _metadata(experiment: Experiment, split: Split, spec: ModelSpec) -> Metadata:
    known = len(split.class_names) == spec.num_classes
    names = tuple(split.class_names) if known else None
    source = f"training in {experiment.workdir}"
    return Metadata(kind="network", spec=spec, class_names=names, source=source)

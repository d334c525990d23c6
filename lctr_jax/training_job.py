"""The training half of the main job: data, network and optimizer as the config describes them, to the end."""

import grain
import jax
import optax

from lctr_jax.checkpoints.initialisation import initialise_from
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.config import RunConfig
from lctr_jax.data.datasets import Split
from lctr_jax.data.device_feed import device_prefetch
from lctr_jax.data.pipeline import TrainIterator, train_batches
from lctr_jax.evaluation_job import evaluate
from lctr_jax.experiment import Experiment
from lctr_jax.look import look
from lctr_jax.models.sizes import ModelSpec
from lctr_jax.run_config import record_config
from lctr_jax.training.device_augmentation import DeviceAugmentation
from lctr_jax.training.loop import Plan, train
from lctr_jax.training.mesh import batch_sharding, check_batch, put_batch, state_shardings
from lctr_jax.training.optimizer import adamw, learning_rate
from lctr_jax.training.options import TrainingOptions
from lctr_jax.training.parameter_table import count_parameters
from lctr_jax.training.profiling import parse_span, traced
from lctr_jax.training.run_checkpoints import RunCheckpoints
from lctr_jax.training.state import TrainState, new_state
from lctr_jax.training.steps import Batch, compile_step


def train_and_evaluate(experiment: Experiment) -> None:
    """Train, from the folder's newest checkpoint if there is one, then evaluate.

    Raises:
        ValueError: an option is impossible, the data or a checkpoint does not fit, or the loss diverges.
        FileNotFoundError: the data or the checkpoint to start from is missing.
    """
    config, options, mesh = experiment.config, experiment.config.train, experiment.mesh
    check_batch("train.batch_size", options.batch_size, mesh, parts=options.micro_batches)
    split = experiment.open(config.data.train_split)
    spec = config.spec(num_classes=len(split.class_names))
    evaluator = experiment.evaluator(spec)  # now, so that its options are checked before anything is trained
    batches = _batches(config, split, spec)
    schedule = _schedule(options, batches.steps_per_epoch)
    optimizer = adamw(schedule, weight_decay=options.weight_decay)
    checkpoints = _checkpoints(experiment, split, spec)
    if jax.process_index() == 0:
        record_config(experiment.workdir, config, resuming=checkpoints.latest_step is not None)
    experiment.open_log()
    state = _start(experiment, spec, optimizer, checkpoints)
    batches.set_state({"next_step": int(state.step)})
    step_fn = compile_step(
        mesh,
        state,
        spec=spec,
        optimizer=optimizer,
        seed=config.seed,
        augmentation=DeviceAugmentation(
            erasing=options.erasing,
            mixup=options.mixup,
            cutmix=options.cutmix,
            label_smoothing=options.label_smoothing,
        ),
        micro_batches=options.micro_batches,
        ema_decay=options.ema_decay,
    )

    feed = _on_devices(experiment, batches)
    span = parse_span(options.profile) if jax.process_index() == 0 else None
    profile = experiment.workdir / "profile"
    with traced(step_fn, span, profile, steps_taken=int(state.step)) as step_fn:
        state = train(
            state,
            step_fn,
            feed,
            plan=_plan(options, batches.steps_per_epoch),
            schedule=schedule,
            log=experiment.log,
            save=checkpoints.save,
            evaluate=lambda state, step: look(experiment, evaluator, state.weights, step),
        )
    feed.close()
    checkpoints.close()
    evaluate(experiment, evaluator, spec, state.weights, weights=f"trained here, {int(state.step)} steps")


def _start(
    experiment: Experiment,
    spec: ModelSpec,
    optimizer: optax.GradientTransformation,
    checkpoints: RunCheckpoints,
) -> TrainState:
    """The newest checkpoint's state, or a new one, placed on the devices."""
    config, log = experiment.config, experiment.log
    parameters = experiment.initial(spec)
    log.say(f"{config.model['name']}: {count_parameters(parameters)}")
    resuming = checkpoints.latest_step is not None
    if config.init_from and not resuming:
        parameters, report = initialise_from(config.init_from, spec, parameters)
        log.say(str(report))
    state = new_state(parameters, optimizer, averaging=config.train.ema_decay > 0)
    state = jax.device_put(state, state_shardings(experiment.mesh, state))
    if resuming:
        state = checkpoints.restore(state)
        log.say(f"resuming at step {int(state.step)}")
    return state


def _batches(config: RunConfig, split: Split, spec: ModelSpec) -> TrainIterator:
    return train_batches(
        split,
        batch_size=config.train.batch_size,
        image_size=spec.image_size,
        seed=config.seed,
        augmentation=config.augmentation,
        num_workers=config.data.num_workers,
        shard=(jax.process_index(), jax.process_count()),
        on_corrupt=config.data.on_corrupt,
    )


def _on_devices(experiment: Experiment, batches: TrainIterator) -> grain.DatasetIterator[Batch]:
    sharding = batch_sharding(experiment.mesh)
    wanted = ("image", "label", "replaced")
    return device_prefetch(batches, lambda batch: put_batch({k: batch[k] for k in wanted}, sharding))


def _schedule(options: TrainingOptions, steps_per_epoch: int) -> optax.Schedule:
    return learning_rate(
        lr=options.lr,
        batch_size=options.batch_size,
        epochs=options.epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_lr=options.warmup_lr,
        min_lr=options.min_lr,
        warmup_epochs=options.warmup_epochs,
        per_epoch=options.schedule == "per_epoch",
    )


def _plan(options: TrainingOptions, steps_per_epoch: int) -> Plan:
    return Plan(
        total_steps=options.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        batch_size=options.batch_size,
        log_every=options.log_every_steps,
        save_every=options.checkpoint_every_epochs * steps_per_epoch,
        evaluate_every=options.eval_every_epochs * steps_per_epoch,
    )


def _checkpoints(experiment: Experiment, split: Split, spec: ModelSpec) -> RunCheckpoints:
    known = len(split.class_names) == spec.num_classes
    names = tuple(split.class_names) if known else None
    source = f"training in {experiment.workdir}"
    metadata = Metadata(kind="network", spec=spec, class_names=names, source=source)
    return RunCheckpoints(experiment.workdir, metadata, keep=experiment.config.train.keep_checkpoints)

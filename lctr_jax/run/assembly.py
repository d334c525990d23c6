"""Build the parts of a training from the options of a config."""

import dataclasses
from collections.abc import Sequence
from typing import cast

import grain
import jax
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped

from lctr_jax.checkpoints.transfer import initialize_from, read_initial_metadata
from lctr_jax.data.datasets import Split
from lctr_jax.data.device_feed import device_prefetch
from lctr_jax.data.pipeline import TrainIterator, train_batches
from lctr_jax.data.samples import CorruptPolicy
from lctr_jax.distributed.mesh import batch_sharding, check_batch, put_batch, state_shardings
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.models.methods import get_method
from lctr_jax.models.parameters import Parameters, split_trained
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.cached_features import check_cached_crops, open_feature_batches
from lctr_jax.run.config import RunConfig
from lctr_jax.run.execution_settings import settle_execution
from lctr_jax.run.experiment import Experiment
from lctr_jax.training.layer_rates import BACKBONE_MODULE, scale_rates
from lctr_jax.training.optimizer import REFERENCE_BATCH, adamw, learning_rate
from lctr_jax.training.parameter_table import count_parameters
from lctr_jax.training.plan import Plan
from lctr_jax.training.state import TrainState, new_state
from lctr_jax.training.steps import Batch, compile_step
from lctr_jax.training.training_config import TrainingOptions


def open_training(experiment: Experiment) -> tuple[Split, ModelSpec, Evaluator]:
    """Open the training split, define network and evaluator, and check all options that depend on them.

    Raises:
        ValueError: an option is invalid, or the data or initial checkpoint does not match.
        FileNotFoundError: the data or the initial checkpoint is missing.
    """
    config, options = experiment.config, experiment.config.train
    check_batch("train.batch_size", options.batch_size, experiment.mesh, parts=options.micro_batches)
    if config.init_from:
        read_initial_metadata(experiment.initial_weights)  # before the data is prepared
    split = experiment.open(config.data.train_split)
    spec = config.spec(num_classes=len(split.class_names))
    spec = settle_execution(spec, experiment.mesh, experiment.log.say)
    if BACKBONE_MODULE in (options.freeze, *get_method(spec.method).frozen):
        spec = _freeze(spec, options)
    if options.cached_crops:
        check_cached_crops(config, spec)
    evaluator = experiment.evaluator(spec)
    evaluator.open_splits()
    known = evaluator.accuracies()
    for option in ("keep_best", "keep_best_class_head"):
        if (metric := getattr(options, option)) and metric not in known:
            raise ValueError(f"train.{option}: got {metric!r}, expected {' or '.join(known)}")
    if options.keep_best_class_head:
        _require_separate_head(spec, options)
    return split, spec, evaluator


def _require_separate_head(spec: ModelSpec, options: TrainingOptions) -> None:
    """Check that a class head of one step fits the other weights of another step.

    Raises:
        ValueError: the backbone is trained, or the method's class head is its only one.
    """
    method = get_method(spec.method)
    if not method.class_head or BACKBONE_MODULE not in (options.freeze, *method.frozen):
        raise ValueError(
            f"train.keep_best_class_head: got {options.keep_best_class_head!r} with model.method="
            f"{spec.method}, expected a method with a frozen backbone and a separate class head, such as "
            "trilite"
        )


def _freeze(spec: ModelSpec, options: TrainingOptions) -> ModelSpec:
    """Disable drop path, a regularization of the backbone, which is not trained."""
    if options.layer_decay < 1:
        reason = f"train.freeze={options.freeze}" if options.freeze else f"model.method={spec.method}"
        raise ValueError(
            f"train.layer_decay: got {options.layer_decay}, expected 1: {reason} does not train the backbone"
        )
    return dataclasses.replace(spec, drop_path=0.0)


def open_batches(experiment: Experiment, split: Split, spec: ModelSpec) -> TrainIterator:
    """Return an iterator over this process's part of the training batches."""
    config = experiment.config
    if config.train.cached_crops:
        return open_feature_batches(experiment, split, spec)
    return train_batches(
        split,
        batch_size=config.train.batch_size,
        image_size=config.training_side(spec),
        seed=config.seed,
        augmentation=config.augmentation,
        num_workers=experiment.workers.count,
        shard=(jax.process_index(), jax.process_count()),
        on_corrupt=cast(CorruptPolicy, config.data.on_corrupt),
    )


def feed_devices(
    experiment: Experiment, batches: TrainIterator
) -> grain.DatasetIterator[tuple[Batch, Sequence[str]]]:
    """Prefetch batches to the devices, together with their images' ids, which stay on the host."""
    sharding = batch_sharding(experiment.mesh)
    return device_prefetch(
        batches,
        lambda batch: (
            put_batch({name: batch[name] for name in batch if name != "id"}, sharding),
            batch["id"].tolist(),
        ),
    )


def initialize_state(experiment: Experiment, spec: ModelSpec, *, init_from: str) -> TrainState:
    """Initialize the state before the first step, randomly or from a checkpoint, on the devices."""
    config, log = experiment.config, experiment.log
    parameters = experiment.initial(spec)
    log.say(f"{config.model['name']}: {count_parameters(parameters)}")
    if init_from:
        parameters, report = initialize_from(init_from, spec, parameters)
        log.say(str(report))
    trained, others = split_trained(spec, parameters, freeze=config.train.freeze)
    if others:
        log.say(f"trained: {count_parameters(trained)}{_say_frozen(config, trained)}")
    optimizer = make_optimizer(config.train, spec)
    state = new_state(
        trained,
        optimizer,
        others=others,
        averaging=config.train.ema_decay > 0,
        loss_scaling=spec.dtype == "float16",
    )
    return jax.device_put(state, state_shardings(experiment.mesh, state))


def _say_frozen(config: RunConfig, trained: Parameters) -> str:
    if BACKBONE_MODULE in trained:
        return ""
    weights = "" if config.init_from else ", at random weights (set init_from to start from trained ones)"
    return f"; the backbone is frozen{weights}, without drop path"


def make_optimizer(options: TrainingOptions, spec: ModelSpec) -> optax.GradientTransformation:
    """Build the optimizer at a learning rate of 1."""
    optimizer = adamw(weight_decay=options.weight_decay)
    if options.layer_decay == options.lr_multiplier == 1:
        return optimizer
    factors = scale_rates(
        depth=spec.depth,
        layer_decay=options.layer_decay,
        lr_multiplier=options.lr_multiplier,
        class_head=get_method(spec.method).class_head,
    )
    return optax.chain(optimizer, factors)


def make_schedule(plan: Plan) -> optax.Schedule:
    """Build the learning-rate schedule by step."""
    options = plan.options
    constant = options.schedule == "constant"  # a cosine from the peak to the peak
    return learning_rate(
        lr=options.lr,
        batch_size=options.batch_size,
        epochs=options.epochs,
        steps_per_epoch=plan.steps_per_epoch,
        warmup_lr=options.warmup_lr,
        min_lr=options.lr * options.batch_size / REFERENCE_BATCH if constant else options.min_lr,
        warmup_epochs=options.warmup_epochs,
        per_epoch=options.schedule == "per_epoch",
    )


def compile_training(
    config: RunConfig, mesh: Mesh, state: TrainState, spec: ModelSpec, *, steps_per_epoch: int
) -> Wrapped:
    """Compile the training step for such states, whose optimizer state is from `make_optimizer`."""
    return compile_step(
        mesh,
        state,
        spec=spec,
        optimizer=make_optimizer(config.train, spec),
        schedule=make_schedule(Plan(config.train, steps_per_epoch)),
        seed=config.seed,
        augmentation=config.augmentation,
        options=config.train,
    )

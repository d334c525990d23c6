"""From a config's options to the parts of training."""

from collections.abc import Sequence

import grain
import jax
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped

from lctr_jax.checkpoints.initialisation import initialise_from
from lctr_jax.config import RunConfig
from lctr_jax.data.datasets import Split
from lctr_jax.data.device_feed import device_prefetch
from lctr_jax.data.pipeline import TrainIterator, train_batches
from lctr_jax.experiment import Experiment
from lctr_jax.models.sizes import ModelSpec
from lctr_jax.training.device_augmentation import DeviceAugmentation
from lctr_jax.training.loop import Plan
from lctr_jax.training.mesh import batch_sharding, put_batch, state_shardings
from lctr_jax.training.optimizer import learning_rate
from lctr_jax.training.options import TrainingOptions
from lctr_jax.training.parameter_table import count_parameters
from lctr_jax.training.state import TrainState, new_state
from lctr_jax.training.steps import Batch, compile_step


def batches(config: RunConfig, split: Split, spec: ModelSpec) -> TrainIterator:
    """This process's part of the training batches."""
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


def on_devices(
    experiment: Experiment, batches: TrainIterator
) -> grain.DatasetIterator[tuple[Batch, Sequence[str]]]:
    """Each batch on the devices, and its images' ids, which stay on the host."""
    sharding = batch_sharding(experiment.mesh)
    wanted = ("image", "label", "replaced")
    return device_prefetch(
        batches, lambda batch: (put_batch({k: batch[k] for k in wanted}, sharding), batch["id"].tolist())
    )


def first_state(
    experiment: Experiment, spec: ModelSpec, optimizer: optax.GradientTransformation, *, init_from: str
) -> TrainState:
    """The state before the first step, from those weights or, without, at random; on the devices."""
    config, log = experiment.config, experiment.log
    parameters = experiment.initial(spec)
    log.say(f"{config.model['name']}: {count_parameters(parameters)}")
    if init_from:
        parameters, report = initialise_from(init_from, spec, parameters)
        log.say(str(report))
    state = new_state(parameters, optimizer, averaging=config.train.ema_decay > 0)
    return jax.device_put(state, state_shardings(experiment.mesh, state))


def schedule(options: TrainingOptions, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate by step."""
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


def plan(options: TrainingOptions, steps_per_epoch: int) -> Plan:
    """How long, and how often what: from epochs to steps."""
    return Plan(
        total_steps=options.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        batch_size=options.batch_size,
        log_every=options.log_every_steps,
        save_every=options.checkpoint_every_epochs * steps_per_epoch,
        evaluate_every=options.eval_every_epochs * steps_per_epoch,
        skip_nonfinite=options.skip_nonfinite,
    )


def compile(
    config: RunConfig,
    mesh: Mesh,
    state: TrainState,
    spec: ModelSpec,
    optimizer: optax.GradientTransformation,
) -> Wrapped:
    """The step for such states."""
    options = config.train
    return compile_step(
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
        skip_nonfinite=options.skip_nonfinite,
    )

"""The training step as a pure function, and its compilation for a mesh."""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jax.sharding import Mesh
from jax.stages import Wrapped
from jaxtyping import Array, Float, Float32, Int32, Key

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, replicated, state_shardings
from lctr_jax.distributed.parameter_sharing import ParameterSharing, parameter_sharing, sum_over
from lctr_jax.models.execution import device_kind, matmul_precision, resolve
from lctr_jax.models.parameters import Parameters, bind, merge, read_dtypes, running_statistics
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.vit import features_from
from lctr_jax.training.device_augmentation import augment_batch, make_targets
from lctr_jax.training.state import TrainState
from lctr_jax.training.training_config import TrainingOptions

Batch = dict[str, Any]  # arrays by name; `features` is a dict of arrays
NetworkInputs = Float[Array, "batch height width 3"] | dict[str, Float[Array, "batch ..."]]
"""Normalized images, or the backbone's features of images by field of `BackboneOutput`."""


class StepMetrics(NamedTuple):
    """Metrics of one step: means over the global batch, and settings of the step.

    Attributes:
        loss: mean cross entropy.
        accuracy: share of images whose label has the highest logit.
        grad_norm: Euclidean norm of the gradient.
        replaced: number of images that replace unreadable ones.
        learning_rate: of this step.
        loss_scale: factor of the loss; None without loss scaling.
    """

    loss: Float32[Array, ""]
    accuracy: Float32[Array, ""]
    grad_norm: Float32[Array, ""]
    replaced: Int32[Array, ""]
    learning_rate: Float32[Array, ""]
    loss_scale: Float32[Array, ""] | None = None


class Gradients(NamedTuple):
    """Mean loss and logits of a batch, the loss's gradient, and the updated `TrainState.others`."""

    loss: Float32[Array, ""]
    logits: Float[Array, "batch classes"]
    gradient: Parameters
    others: Parameters


def gradients(
    spec: ModelSpec,
    parameters: Parameters,
    images: NetworkInputs,
    targets: Float[Array, "batch classes"],
    keys: Key[Array, " batch"] | None = None,
    others: Parameters | None = None,
    loss_scale: Float32[Array, ""] | None = None,
    *,
    sharing: ParameterSharing | None = None,
) -> Gradients:
    """Compute the loss of normalized images by the network's `loss`, and its gradient.

    Args:
        spec: the network.
        parameters: trained parameters; with `sharing`, this device's shards.
        images: normalized images, or features of the frozen backbone; with `sharing`, this device's part of
            the batch.
        targets: distributions over the classes.
        keys: one random key per sample.
        others: arrays of the network that are not differentiated (`split_trained`).
        loss_scale: the backward pass is that of the loss times this factor; the results are divided by it
            again.
        sharing: how the parameters are sharded, inside `shard_map`. The loss is then this device's share of
            the global mean, the gradient has the layout of the parameters, and running statistics are
            averaged over devices.
    """
    scale = jnp.float32(1) if loss_scale is None else loss_scale
    devices = 1 if sharing is None else sharing.devices

    def loss(parameters: Parameters):
        arrays = merge(parameters, others or {})
        if sharing is None:
            network = bind(spec, arrays)
        else:
            network = bind(spec, sharing.gather(arrays), gather_layer=sharing.gather_layer)
        if isinstance(images, dict):
            value, logits = network.head_loss(features_from(images), targets, keys=keys)
        else:
            value, logits = network.loss(images, targets, keys=keys)
        statistics = running_statistics(network)
        if sharing is not None:
            statistics = jax.tree.map(lambda total: total / devices, sum_over(statistics))
        return value / devices * scale, (logits, statistics)

    (value, (logits, statistics)), gradient = jax.value_and_grad(loss, has_aux=True)(parameters)
    value, gradient = jax.tree.map(lambda scaled: scaled / scale, (value, gradient))
    return Gradients(value, logits, gradient, merge(others or {}, statistics))


def accumulated_gradients(
    spec: ModelSpec,
    parameters: Parameters,
    images: NetworkInputs,
    targets: Float[Array, "batch classes"],
    keys: Key[Array, " batch"],
    others: Parameters,
    loss_scale: Float32[Array, ""] | None = None,
    *,
    micro_batches: int,
    sharing: ParameterSharing,
) -> Gradients:
    """Compute `gradients` one micro-batch after the other: the same result in less memory.

    Running statistics are updated by every micro-batch in turn.
    """
    if micro_batches == 1:
        return gradients(spec, parameters, images, targets, keys, others, loss_scale, sharing=sharing)

    def split(array: Array) -> Array:
        return jnp.moveaxis(array.reshape(-1, micro_batches, *array.shape[1:]), 1, 0)

    def add(carried, micro_batch):
        total, others = carried
        images, targets, keys = micro_batch
        found = gradients(spec, parameters, images, targets, keys, others, loss_scale, sharing=sharing)
        total = jax.tree.map(jnp.add, total, (found.loss, found.gradient))
        return (total, found.others), found.logits

    zeros = (jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, parameters))
    (total, others), logits = jax.lax.scan(add, (zeros, others), jax.tree.map(split, (images, targets, keys)))
    loss, gradient = jax.tree.map(lambda leaf: leaf / micro_batches, total)
    return Gradients(loss, jnp.moveaxis(logits, 0, 1).reshape(-1, logits.shape[-1]), gradient, others)


def data_parallel_gradients(
    spec: ModelSpec,
    parameters: Parameters,
    images: NetworkInputs,
    targets: Float[Array, "batch classes"],
    keys: Key[Array, " batch"],
    others: Parameters,
    loss_scale: Float32[Array, ""] | None = None,
    *,
    mesh: Mesh,
    micro_batches: int,
) -> Gradients:
    """Compute `accumulated_gradients` of a global batch over all devices of the mesh.

    Uses `shard_map`, so the communication between devices is explicit: parameters and gradients
    (`ParameterSharing`), the loss, and running statistics.
    """
    sharing = parameter_sharing(mesh, merge(parameters, others), read_dtypes(spec))

    def on_one_device(*arguments):
        found = accumulated_gradients(spec, *arguments, micro_batches=micro_batches, sharing=sharing)
        loss = sum_over(found.loss)
        return loss, found.logits, found.gradient, found.others

    whole, rows = jax.P(), jax.P(BATCH_AXES)
    parts, other_parts = (
        jax.tree.map(lambda sharding: sharding.spec, state_shardings(mesh, tree))
        for tree in (parameters, others)
    )
    split = jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(parts, rows, rows, rows, other_parts, whole),
        out_specs=(whole, rows, parts, other_parts),
        check_vma=False,
    )
    return Gradients(*split(parameters, images, targets, keys, others, loss_scale))


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    mesh: Mesh,
    spec: ModelSpec,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    seed: int,
    augmentation: Augmentation,
    options: TrainingOptions,
) -> tuple[TrainState, StepMetrics]:
    """Take one training step; a pure function of its arguments.

    Args:
        state: the state before the step.
        batch: `image` uint8 [b, h, w, 3] or `features` of a frozen backbone, `label` int32 [b], and
            optionally `replaced` bool [b].
        mesh: devices of the run.
        spec: the network.
        optimizer: updates at a rate of 1 (see `adamw`).
        schedule: learning rate by step.
        seed: seed of the run; random draws follow from it and the step.
        augmentation: augmentation of the batch.
        options: micro-batches, moving average, and `skip_nonfinite`: with it, and with loss scaling, a step
            whose loss or gradient is not finite changes only the number of steps and the loss scale.

    Returns:
        The new state and the metrics of the step.
    """
    loss_scale = None if state.loss_scale is None else cast(Array, state.loss_scale.scale)
    drop_key, augment_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), state.step))
    images, targets = _network_inputs(augment_key, batch, spec, augmentation)
    loss, logits, gradient, others = data_parallel_gradients(
        spec,
        state.parameters,
        images,
        targets,
        jax.random.split(drop_key, len(targets)),
        state.others,
        loss_scale,
        mesh=mesh,
        micro_batches=options.micro_batches,
    )
    rate = jnp.asarray(schedule(state.step), jnp.float32)
    with jax.numpy_dtype_promotion("standard"):  # Optax relies on implicit promotion; our own code does not
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.parameters)
    parameters = cast(Parameters, optax.apply_updates(state.parameters, optax.tree.scale(-rate, updates)))
    average = state.average and cast(
        Parameters, optax.incremental_update(parameters, state.average, 1 - options.ema_decay)
    )
    norm = optax.tree.norm(gradient)
    next_scale = state.loss_scale and adjust(state.loss_scale, norm)
    changed = TrainState(state.step + 1, parameters, optimizer_state, average, others, next_scale)
    if options.skip_nonfinite or next_scale is not None:
        sound = jnp.isfinite(loss) & jnp.isfinite(norm)
        unchanged = state._replace(step=state.step + 1, loss_scale=next_scale)
        changed = jax.tree.map(lambda new, old: jnp.where(sound, new, old), changed, unchanged)
    accuracy = (jnp.argmax(logits, axis=-1) == batch["label"]).mean()
    replaced = jnp.sum(batch.get("replaced", jnp.zeros(0)), dtype=jnp.int32)
    return changed, StepMetrics(loss, accuracy, norm, replaced, rate, loss_scale)


def _network_inputs(
    key: Key[Array, ""], batch: Batch, spec: ModelSpec, augmentation: Augmentation
) -> tuple[NetworkInputs, Float[Array, "batch classes"]]:
    """Return what the network is applied to, and its targets; cached features are not augmented."""
    if "features" in batch:
        targets = make_targets(batch["label"], num_classes=spec.num_classes, augmentation=augmentation)
        return batch["features"], targets
    return augment_batch(
        key, batch["image"], batch["label"], num_classes=spec.num_classes, augmentation=augmentation
    )


def adjust(loss_scale: DynamicScale, grad_norm: Float32[Array, ""]) -> DynamicScale:
    """Update the loss scale: smaller after an overflow, larger after a period without.

    Flax's `DynamicScale` expects a function to differentiate; the derivative of this one is finite if the
    norm is.
    """
    return loss_scale.value_and_grad(lambda x: x * grad_norm)(jnp.float32(1)).dynamic_scale


def compile_step(mesh: Mesh, state: TrainState, *, spec: ModelSpec, **settings) -> Wrapped:
    """Jit `train_step` with `settings` for such states on `mesh`; the memory of the old state is reused.

    The devices of the mesh determine what "auto" means; they need not belong to this machine.
    """
    spec = resolve(spec, device_kind(mesh.devices.flat), fsdp=mesh.shape["fsdp"])

    @functools.wraps(train_step)  # traces show its name
    def step(state: TrainState, batch: Batch) -> tuple[TrainState, StepMetrics]:
        with matmul_precision(spec):
            return train_step(state, batch, mesh=mesh, spec=spec, **settings)

    placed = state_shardings(mesh, state)
    return jax.jit(
        step,
        in_shardings=(placed, batch_sharding(mesh)),
        out_shardings=(placed, replicated(mesh)),
        donate_argnums=0,
    )

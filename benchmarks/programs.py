"""The measured programs: ours as compiled by a run, and the naive port's training step."""

import functools

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.stages import Lowered

from benchmarks.naive_lctr import naive_train_step
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import batch_sharding, replicated
from lctr_jax.evaluation.forward import forward_program
from lctr_jax.models.execution import device_kind, resolve
from lctr_jax.models.parameters import initialize, parameter_shapes, split_trained
from lctr_jax.models.spec import ModelSpec, model_spec
from lctr_jax.training.optimizer import adamw
from lctr_jax.training.state import TrainState, new_state
from lctr_jax.training.steps import compile_step
from lctr_jax.training.training_config import TrainingOptions

OPTIMIZER = adamw(weight_decay=0.05)
SCHEDULE = optax.constant_schedule(5e-5)
PUBLISHED = Augmentation()
OPTIONS = TrainingOptions()


def published_spec(size: str, *, classes: int, dtype: str, **fields) -> ModelSpec:
    """Return the network as trained by the published configs."""
    left_open = {"precision": "auto", "attention": "auto", "layer_loop": "auto"}
    return model_spec(size, num_classes=classes, dtype=dtype, drop_path=0.1, **left_open | fields)


def fresh_state(spec: ModelSpec) -> TrainState:
    """Return a run's state before its first step."""
    trained, others = split_trained(spec, initialize(spec, jax.random.key(0)))
    return new_state(trained, OPTIMIZER, others=others, loss_scaling=spec.dtype == "float16")


def our_step(spec: ModelSpec, mesh: Mesh, state: TrainState, *, augmentation: Augmentation = PUBLISHED):
    """Jit the training step of `train.py`, by default with the published augmentation."""
    return compile_step(
        mesh,
        state,
        spec=spec,
        optimizer=OPTIMIZER,
        schedule=SCHEDULE,
        seed=0,
        augmentation=augmentation,
        options=OPTIONS,
    )


def lower_ours(spec: ModelSpec, mesh: Mesh, batch: int) -> Lowered:
    """Lower our step for a global batch from shapes only, as on a machine with the mesh's devices."""
    spec = resolve(spec, device_kind(mesh.devices.flat), fsdp=mesh.shape["fsdp"])
    state = jax.eval_shape(functools.partial(fresh_state, spec))
    image, label = _batch_shapes(spec, batch)
    return our_step(spec, mesh, state).lower(state, {"image": image, "label": label})


def lower_forward(spec: ModelSpec, mesh: Mesh, batch: int) -> Lowered:
    """Lower the forward pass of evaluation for a global batch: logits and maps."""
    rows = batch_sharding(mesh)
    images, labels = (
        jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=rows) for shape in _batch_shapes(spec, batch)
    )
    return forward_program(spec, mesh).lower(parameter_shapes(spec), images, labels)


def lower_naive(spec: ModelSpec, mesh: Mesh, batch: int) -> Lowered:
    """Lower the naive port's step."""
    state = jax.eval_shape(functools.partial(fresh_state, spec))
    step = functools.partial(naive_train_step, spec=spec, optimizer=OPTIMIZER, schedule=SCHEDULE)
    rows, whole = batch_sharding(mesh), replicated(mesh)
    jitted = jax.jit(step, in_shardings=(whole, rows, rows), out_shardings=whole, donate_argnums=0)
    return jitted.lower(state, *_batch_shapes(spec, batch))


def _batch_shapes(spec: ModelSpec, batch: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    image = jax.ShapeDtypeStruct((batch, spec.image_size, spec.image_size, 3), jnp.uint8)
    return image, jax.ShapeDtypeStruct((batch,), jnp.int32)

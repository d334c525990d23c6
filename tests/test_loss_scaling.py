"""float16 with dynamic loss scaling, computed on CPUs, which is slow but numerically the same."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from jax.sharding import AxisType, Mesh

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, put_batch, state_shardings
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.optimizer import adamw
from lctr_jax.training.run_checkpoints import Progress, RunCheckpoints
from lctr_jax.training.state import new_state
from lctr_jax.training.steps import adjust, compile_step, gradients
from lctr_jax.training.training_config import TrainingOptions

SPEC = ModelSpec(
    num_classes=4, width=32, depth=2, heads=2, image_size=32, patch_size=8, dtype="float16", drop_path=0.1
)
OPTIMIZER = adamw(weight_decay=0.05)


def mesh_of(count, fsdp):
    devices = np.array(jax.devices()[:count]).reshape(count // fsdp, fsdp)
    return Mesh(devices, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def fresh(mesh, *, scale=None):
    state = new_state(initialize(SPEC, jax.random.key(0)), OPTIMIZER, loss_scaling=True)
    if scale is not None:
        assert state.loss_scale is not None
        state = state._replace(loss_scale=state.loss_scale.replace(scale=jnp.float32(scale)))
    return jax.device_put(state, state_shardings(mesh, state))


def compiled(mesh, state, micro_batches):
    return compile_step(
        mesh,
        state,
        spec=SPEC,
        optimizer=OPTIMIZER,
        schedule=optax.constant_schedule(1e-3),
        seed=0,
        augmentation=Augmentation(erasing=0.25),
        options=TrainingOptions(micro_batches=micro_batches),
    )


def take(step, state, mesh, factors):
    metrics = []
    for factor in factors:
        rng = np.random.default_rng(factor)
        batch: dict[str, np.ndarray] = {"image": rng.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)}
        batch["label"] = rng.integers(0, 4, 8).astype(np.int32)
        state, found = step(state, put_batch(batch, batch_sharding(mesh)))
        metrics.append(jax.device_get(found))
    return state, metrics


def assert_same(got, expected):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "fsdp", "micro_batches"), [(1, 1, 1), (4, 2, 2)])
def test_an_overflow_halves_the_scale_and_leaves_the_rest_alone(count, fsdp, micro_batches):
    mesh = mesh_of(count, fsdp)
    state = fresh(mesh, scale=2.0**60)  # beyond float16 at once
    before = jax.device_get(state)
    step = compiled(mesh, state, micro_batches)
    state, (first,) = take(step, state, mesh, [0])
    after = jax.device_get(state)
    assert (np.isfinite(first.loss), np.isfinite(first.grad_norm)) == (True, False)
    assert first.loss_scale == 2.0**60
    assert (after.step, after.loss_scale.scale) == (1, 2.0**59)
    for name in ("parameters", "optimizer"):
        assert_same(getattr(after, name), getattr(before, name))

    state, metrics = take(step, state, mesh, range(1, 60))
    finite = [bool(np.isfinite(each.grad_norm)) for each in metrics]
    assert finite[-5:] == [True] * 5
    assert 1 < float(state.loss_scale.scale) < 2.0**40
    assert not np.array_equal(
        jax.device_get(state).parameters["cdm"]["bias"], before.parameters["cdm"]["bias"]
    )


@pytest.mark.slow
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    mesh = mesh_of(2, 2)
    start = fresh(mesh, scale=2.0**24)
    step = compiled(mesh, start, 1)
    state, metrics = take(step, start, mesh, range(20))
    assert not all(np.isfinite(each.grad_norm) for each in metrics)  # the scale has changed on the way
    checkpoints = RunCheckpoints(tmp_path, Metadata(kind="network", spec=SPEC), keep=1)
    checkpoints.save(state, 20, Progress({}, {}, evaluated=True, inputs={}))
    checkpoints.wait()
    resumed = checkpoints.restore(fresh(mesh))
    checkpoints.close()
    assert_same(resumed, state)
    whole, _ = take(step, state, mesh, range(20, 24))
    assert_same(take(step, resumed, mesh, range(20, 24))[0], whole)


@pytest.mark.slow
def test_thirty_steps_in_float16_follow_the_reference():
    golden = np.load(reference.GOLDENS / "trajectory.npz")
    spec = dataclasses.replace(reference.TINY, dtype="float16")
    optimizer = optax.chain(adamw(weight_decay=0.05), optax.scale(-1e-3))
    state = new_state(reference.parameters(spec), optimizer, loss_scaling=True)

    @jax.jit
    def step(state, images, labels):
        targets = jax.nn.one_hot(labels, 7)
        found = gradients(spec, state.parameters, images, targets, loss_scale=state.loss_scale.scale)
        with jax.numpy_dtype_promotion("standard"):  # Optax relies on implicit promotion
            updates, optimizer_state = optimizer.update(found.gradient, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        changed = state._replace(
            parameters=parameters,
            optimizer=optimizer_state,
            loss_scale=adjust(state.loss_scale, optax.tree.norm(found.gradient)),
        )
        return changed, found.loss

    for factor, expected in enumerate(golden["losses"]):
        seed = 100 + factor % 3
        state, loss = step(state, reference.images(8, seed), reference.labels(8, 7, seed))
        assert float(loss) == pytest.approx(float(expected), rel=0.03), f"step {factor}"
    assert state.loss_scale is not None
    assert int(state.loss_scale.fin_steps) == len(golden["losses"])  # none overflowed

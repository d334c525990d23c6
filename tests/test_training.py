import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from flax.traverse_util import flatten_dict
from jax.sharding import AxisType, Mesh

from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, check_batch, put_batch, state_shardings
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.device_augmentation import DeviceAugmentation
from lctr_jax.training.optimizer import adamw, decayed, learning_rate
from lctr_jax.training.state import new_state
from lctr_jax.training.steps import compile_step, gradients


def test_thirty_steps_follow_the_reference():
    golden = np.load(reference.GOLDENS / "trajectory.npz")
    parameters = reference.parameters(reference.TINY)
    optimizer = adamw(1e-3, weight_decay=0.05)
    optimizer_state = optimizer.init(parameters)

    @jax.jit
    def step(parameters, optimizer_state, images, labels):
        loss, _, gradient, _ = gradients(reference.TINY, parameters, images, jax.nn.one_hot(labels, 7))
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters)
        return optax.apply_updates(parameters, updates), optimizer_state, loss

    for i, expected in enumerate(golden["losses"]):
        images, labels = (
            reference.images(8, 100 + i % 3),
            reference.labels(8, 7, 100 + i % 3),
        )
        parameters, optimizer_state, loss = step(parameters, optimizer_state, images, labels)
        assert float(loss) == pytest.approx(float(expected), rel=1e-3), f"step {i}"
    assert reference.relative_error(parameters["backbone"]["norm"]["scale"], golden["final_norm"]) < 1e-3
    assert reference.relative_error(parameters["cdm"]["bias"], golden["final_bias"]) < 1e-3


@pytest.mark.parametrize(("name", "batch_size", "lr"), [("cub", 512, 5e-5), ("imagenet", 1024, 5e-4)])
def test_the_rate_is_the_published_one_in_every_epoch(name, batch_size, lr):
    golden = json.loads((reference.GOLDENS / "lr_schedule.json").read_text())[name]
    schedule = learning_rate(
        lr=lr,
        batch_size=batch_size,
        epochs=golden["epochs"],
        steps_per_epoch=7,
        warmup_lr=1e-6,
        min_lr=1e-5,
        warmup_epochs=5.0,
        per_epoch=True,
    )
    for epoch, expected in enumerate(golden["lr_per_epoch"]):
        for step in (7 * epoch, 7 * epoch + 6):
            assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)


def test_decay_spares_what_the_recipe_spares():
    # The recipe, on PyTorch's tensors: no decay for one-dimensional ones, pos_embed and cls_token.
    mask = flatten_dict(decayed(reference.parameters(reference.TINY)), sep=".")
    for path, layout in reference.LAYOUTS.items():
        shape = reference.torch_state(reference.TINY)[layout.name.format(0)].shape
        assert mask[path] == (len(shape) > 1 and layout.name not in ("pos_embed", "cls_token")), path


SPEC = ModelSpec(num_classes=4, width=32, depth=3, heads=2, image_size=32, patch_size=8, drop_path=0.3)


def run_steps(num_devices: int, *, fsdp: int = 1, micro_batches: int = 1, steps: int = 20):
    devices = np.array(jax.devices()[:num_devices]).reshape(num_devices // fsdp, fsdp)
    mesh = Mesh(devices, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    optimizer = adamw(1e-3, weight_decay=0.05)
    state = new_state(initialize(SPEC, jax.random.key(0)), optimizer)
    state = jax.device_put(state, state_shardings(mesh, state))
    step = compile_step(
        mesh,
        state,
        spec=SPEC,
        optimizer=optimizer,
        seed=5,
        augmentation=DeviceAugmentation(erasing=0.5, mixup=0.2, cutmix=1.0),
        micro_batches=micro_batches,
    )
    losses = []
    for i in range(steps):
        rng = np.random.default_rng(i)
        batch = {
            "image": rng.integers(0, 256, (16, 32, 32, 3)).astype(np.uint8),
            "label": rng.integers(0, 4, 16).astype(np.int32),
        }
        state, metrics = step(state, put_batch(batch, batch_sharding(mesh)))
        losses.append(float(metrics.loss))
    return np.array(losses), state.parameters


@functools.cache
def one_device():
    return run_steps(1)


@pytest.mark.parametrize(
    "layout",
    [
        {"num_devices": 2},
        {"num_devices": 8},
        {"num_devices": 4, "fsdp": 2},
        {"num_devices": 2, "micro_batches": 4},
    ],
    ids=str,
)
def test_results_do_not_depend_on_the_layout(layout):
    losses, parameters = one_device()
    other_losses, other_parameters = run_steps(**layout)
    np.testing.assert_allclose(other_losses, losses, rtol=2e-4)
    for path, leaf in flatten_dict(parameters, sep=".").items():
        other = flatten_dict(other_parameters, sep=".")[path]
        # Adam turns rounding into up to a step of 1e-3 where a gradient is all rounding.
        np.testing.assert_allclose(other, leaf, atol=2e-3, err_msg=path)


def test_fsdp_splits_the_parameters():
    _, parameters = run_steps(4, fsdp=4, steps=1)
    kernel = parameters["backbone"]["blocks"]["mlp"]["fc1"]["kernel"]
    assert kernel.addressable_shards[0].data.size * 4 == kernel.size


@pytest.mark.parametrize(
    ("batch_size", "parts", "message"),
    [
        (30, 1, r"got 30, expected a multiple of 8 \(8 devices\), such as 24 or 32"),
        (4, 1, "such as 8"),
        (24, 2, r"expected a multiple of 16 \(8 devices x 2 micro-batches\), such as 16 or 32"),
    ],
)
def test_a_batch_that_devices_cannot_share_is_refused(batch_size, parts, message):
    mesh = Mesh(np.array(jax.devices()).reshape(8, 1), BATCH_AXES)
    with pytest.raises(ValueError, match=message):
        check_batch("train.batch_size", batch_size, mesh, parts=parts)


def test_the_average_of_the_weights_follows_its_definition():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), BATCH_AXES)
    optimizer = adamw(1e-2, weight_decay=0.0)
    state = new_state(initialize(SPEC, jax.random.key(0)), optimizer, averaging=True)
    step = compile_step(
        mesh, state, spec=SPEC, optimizer=optimizer, seed=0, augmentation=DeviceAugmentation(), ema_decay=0.9
    )
    batch = {"image": jnp.zeros((2, 32, 32, 3), jnp.uint8), "label": jnp.array([1, 3], jnp.int32)}
    average = np.asarray(state.parameters["cdm"]["bias"])
    for _ in range(3):
        state, _ = step(state, batch)
        average = 0.9 * average + 0.1 * np.asarray(state.parameters["cdm"]["bias"])
    np.testing.assert_allclose(state.weights["cdm"]["bias"], average, rtol=1e-5, atol=1e-8)
    assert not np.allclose(state.weights["cdm"]["bias"], state.parameters["cdm"]["bias"])


def test_label_smoothing_is_the_textbook_mixture():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), BATCH_AXES)
    spec = dataclasses.replace(SPEC, drop_path=0.0)
    optimizer = adamw(0.0, weight_decay=0.0)
    batch = {"image": jnp.zeros((2, 32, 32, 3), jnp.uint8), "label": jnp.array([1, 3], jnp.int32)}

    def loss(smoothing):
        state = new_state(initialize(spec, jax.random.key(0)), optimizer)
        step = compile_step(
            mesh,
            state,
            spec=spec,
            optimizer=optimizer,
            seed=0,
            augmentation=DeviceAugmentation(label_smoothing=smoothing),
        )
        return float(step(state, batch)[1].loss)

    uniform = loss(1 - 1e-7)
    assert loss(0.1) == pytest.approx(0.9 * loss(0.0) + 0.1 * uniform, rel=1e-5)
    assert jnp.isfinite(uniform)


class BadBatch(DeviceAugmentation):
    """Makes the images of a batch NaN where its first label is 3."""

    def __call__(self, key, images, labels, *, num_classes):
        images, targets = super().__call__(key, images, labels, num_classes=num_classes)
        return jnp.where(labels[0] == 3, jnp.nan, images), targets


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_skipped_step_changes_the_count_of_steps_alone(micro_batches):
    mesh = Mesh(np.array(jax.devices()[:2]).reshape(2, 1), BATCH_AXES)
    optimizer = adamw(1e-2, weight_decay=0.05)

    def run(labels, *, skip):
        state = new_state(initialize(SPEC, jax.random.key(0)), optimizer, averaging=True)
        state = jax.device_put(state, state_shardings(mesh, state))
        step = compile_step(
            mesh,
            state,
            spec=dataclasses.replace(SPEC, drop_path=0.0),
            optimizer=optimizer,
            seed=0,
            augmentation=BadBatch(),
            micro_batches=micro_batches,
            ema_decay=0.9,
            skip_nonfinite=skip,
        )
        for label in labels:
            batch = {
                "image": np.full((4, 32, 32, 3), 9, np.uint8),
                "label": np.array([label, 0, 1, 2], np.int32),
            }
            state, metrics = step(state, put_batch(batch, batch_sharding(mesh)))
            assert bool(jnp.isfinite(metrics.loss)) == (label != 3)
        return jax.device_get(state)

    skipped, without, poisoned = run([1, 3, 2], skip=True), run([1, 2], skip=True), run([1, 3], skip=False)
    assert (skipped.step, without.step) == (3, 2)
    assert np.isnan(poisoned.parameters["cdm"]["bias"]).any()
    for got, expected in zip(jax.tree.leaves(skipped[1:]), jax.tree.leaves(without[1:]), strict=True):
        np.testing.assert_array_equal(got, expected)

import dataclasses
import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from flax.traverse_util import flatten_dict
from jax.sharding import AxisType, Mesh

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, check_batch, put_batch, state_shardings
from lctr_jax.models.parameters import initialize, split_trained
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run import assembly
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.training import device_augmentation, steps
from lctr_jax.training.optimizer import adamw, decayed, learning_rate
from lctr_jax.training.plan import Plan
from lctr_jax.training.state import new_state
from lctr_jax.training.steps import compile_step
from lctr_jax.training.training_config import TrainingOptions


@pytest.mark.optimized
def test_thirty_steps_follow_the_reference(monkeypatch):
    """The reference's trajectory by the step that a run compiles; its images come normalized."""
    golden = np.load(reference.GOLDENS / "trajectory.npz")
    images = jnp.stack([reference.images(8, 100 + i) for i in range(3)])
    monkeypatch.setattr(device_augmentation, "normalize", lambda batch: images[batch[0, 0, 0, 0]])
    config: Any = default_config()
    # Published, with these differences: one rate of 1e-3 throughout, and nothing random.
    config.train.update(batch_size=8, lr=1e-3 * 512 / 8, min_lr=1e-3, warmup_epochs=0.0)
    config.augmentation.erasing = 0.0
    config = parse_config(config)
    mesh = mesh_of(1)
    state = new_state(
        reference.parameters(reference.TINY), assembly.make_optimizer(config.train, reference.TINY)
    )
    step = assembly.compile_training(config, mesh, state, reference.TINY, steps_per_epoch=3)
    for i, expected in enumerate(golden["losses"]):
        labels = reference.labels(8, 7, 100 + i % 3).astype(jnp.int32)
        state, metrics = step(state, {"image": jnp.full(images.shape[1:], i % 3, jnp.uint8), "label": labels})
        assert float(metrics.loss) == pytest.approx(float(expected), rel=1e-3), f"step {i}"
        assert float(metrics.learning_rate) == pytest.approx(1e-3)
    scale, bias = state.parameters["backbone"]["norm"]["scale"], state.parameters["cdm"]["bias"]
    assert reference.relative_error(scale, golden["final_norm"]) < 1e-3
    assert reference.relative_error(bias, golden["final_bias"]) < 1e-3


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
            assert float(np.asarray(schedule(step))) == pytest.approx(expected, rel=1e-5)


# 61 is CUB at batch 96. A compiled float32 quotient fell short of the whole number for about one in eight.
@pytest.mark.optimized
@pytest.mark.parametrize("steps_per_epoch", [1, 11, 47, 61, 94, 107, 188, 411, 699, 1251])
def test_compiled_rates_change_at_the_first_step_of_an_epoch(steps_per_epoch):
    options = {"lr": 5e-5, "batch_size": 96, "epochs": 80, "warmup_lr": 1e-6, "min_lr": 1e-5}
    rate = learning_rate(**options, steps_per_epoch=steps_per_epoch, warmup_epochs=5.0, per_epoch=True)
    first = steps_per_epoch * np.arange(80, dtype=np.int32)
    rates = np.asarray(jax.jit(jax.vmap(jax.vmap(rate)))(np.stack([first, first + steps_per_epoch - 1])))
    peak = 5e-5 * 96 / 512
    t = np.maximum(np.arange(80) - 1, 0)
    expected = 1e-5 + (peak - 1e-5) * (1 + np.cos(np.pi * t / 80)) / 2
    expected = np.where(t < 5, 1e-6 + t * (peak - 1e-6) / 5, expected)
    np.testing.assert_allclose(rates[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(rates[0], rates[1])


def test_a_constant_rate_is_the_peak_whatever_the_end_of_the_cosine():
    config = default_config()
    config.train.update(schedule="constant", lr=5e-5 * 512 / 128, batch_size=128, warmup_epochs=0.0)
    schedule = assembly.make_schedule(Plan(parse_config(config).train, 10))
    np.testing.assert_allclose([np.asarray(schedule(step)) for step in (0, 9, 10, 799)], 5e-5, rtol=1e-6)


@pytest.mark.parametrize(("warmup_epochs", "steps_per_epoch"), [(5.0, 47), (0.1, 30), (0.25, 375), (2.0, 61)])
def test_a_rate_per_step_ends_its_warm_up_at_a_whole_step(warmup_epochs, steps_per_epoch):
    options = {"lr": 1.0, "batch_size": 512, "epochs": 10, "warmup_lr": 0.0, "min_lr": 0.0}
    rate = learning_rate(
        **options, steps_per_epoch=steps_per_epoch, warmup_epochs=warmup_epochs, per_epoch=False
    )
    steps = np.arange(10 * steps_per_epoch, dtype=np.int32)
    t = steps / steps_per_epoch
    warming = steps * 100 < round(warmup_epochs * 100) * steps_per_epoch
    expected = np.where(warming, t / warmup_epochs, (1 + np.cos(np.pi * t / 10)) / 2)
    np.testing.assert_allclose(jax.jit(jax.vmap(rate))(steps), expected, atol=1e-6)


def test_decay_spares_what_the_recipe_spares():
    # As published, on PyTorch's tensors: no decay for one-dimensional ones, pos_embed and cls_token.
    mask = flatten_dict(decayed(reference.parameters(reference.TINY)), sep=".")
    for path, layout in reference.LAYOUTS.items():
        shape = reference.torch_state(reference.TINY)[layout.name.format(0)].shape
        assert mask[path] == (len(shape) > 1 and layout.name not in ("pos_embed", "cls_token")), path


SPEC = ModelSpec(num_classes=4, width=32, depth=3, heads=2, image_size=32, patch_size=8, drop_path=0.3)
PLAIN = Augmentation(erasing=0.0)


def mesh_of(num_devices: int, *, fsdp: int = 1) -> Mesh:
    devices = np.array(jax.devices()[:num_devices]).reshape(num_devices // fsdp, fsdp)
    return Mesh(devices, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def start(mesh, *, rate, spec=SPEC, augmentation=PLAIN, seed=0, averaging=False, **options):
    """A new state on the mesh, and the step compiled for it; `rate` is a number or a schedule."""
    optimizer = adamw(weight_decay=options.pop("weight_decay", 0.05))
    trained, others = split_trained(
        spec, initialize(spec, jax.random.key(0)), freeze=options.get("freeze", "")
    )
    state = new_state(trained, optimizer, others=others, averaging=averaging)
    state = jax.device_put(state, state_shardings(mesh, state))
    step = compile_step(
        mesh,
        state,
        spec=spec,
        optimizer=optimizer,
        schedule=rate if callable(rate) else optax.constant_schedule(rate),
        seed=seed,
        augmentation=augmentation,
        options=TrainingOptions(**options),
    )
    return state, step


def run_steps(num_devices: int, *, fsdp: int = 1, micro_batches: int = 1, steps: int = 20, **fields):
    """`fields` replace those of the spec."""
    mesh = mesh_of(num_devices, fsdp=fsdp)
    augmentation = Augmentation(erasing=0.5, mixup=0.2, cutmix=1.0)
    spec = dataclasses.replace(SPEC, **fields)
    state, step = start(
        mesh, rate=1e-3, spec=spec, seed=5, augmentation=augmentation, micro_batches=micro_batches
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
    return np.array(losses), state.weights


@functools.cache
def one_device():
    return run_steps(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        {"num_devices": 2},
        {"num_devices": 8},
        {"num_devices": 4, "fsdp": 2},
        {"num_devices": 8, "fsdp": 8},
        {"num_devices": 2, "micro_batches": 4},
    ],
    ids=str,
)
def test_results_do_not_depend_on_the_layout(layout):
    losses, parameters = one_device()
    other_losses, other_parameters = run_steps(**layout)
    np.testing.assert_allclose(other_losses, losses, rtol=2e-4)
    flat: list[Any] = [flatten_dict(tree, sep=".") for tree in (parameters, other_parameters)]
    for path, leaf in flat[0].items():
        # Where a gradient consists of rounding errors, Adam still makes a step of up to 1e-3.
        np.testing.assert_allclose(flat[1][path], leaf, atol=2e-3, err_msg=path)


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
    state, step = start(mesh_of(1), rate=1e-2, averaging=True, ema_decay=0.9)
    batch = {"image": jnp.zeros((2, 32, 32, 3), jnp.uint8), "label": jnp.array([1, 3], jnp.int32)}
    average = np.asarray(state.parameters["cdm"]["bias"])
    for _ in range(3):
        state, _ = step(state, batch)
        average = 0.9 * average + 0.1 * np.asarray(state.parameters["cdm"]["bias"])
    np.testing.assert_allclose(state.weights["cdm"]["bias"], average, rtol=1e-5, atol=1e-8)
    assert not np.allclose(state.weights["cdm"]["bias"], state.parameters["cdm"]["bias"])


def test_label_smoothing_is_the_textbook_mixture():
    spec = dataclasses.replace(SPEC, drop_path=0.0)
    batch = {"image": jnp.zeros((2, 32, 32, 3), jnp.uint8), "label": jnp.array([1, 3], jnp.int32)}

    def loss(smoothing):
        augmentation = dataclasses.replace(PLAIN, label_smoothing=smoothing)
        state, step = start(mesh_of(1), rate=0.0, spec=spec, augmentation=augmentation)
        return float(step(state, batch)[1].loss)

    uniform = loss(1 - 1e-7)
    assert loss(0.1) == pytest.approx(0.9 * loss(0.0) + 0.1 * uniform, rel=1e-5)
    assert jnp.isfinite(uniform)


@pytest.fixture
def bad_batches(monkeypatch):
    """The images of a batch are NaN where its first label is 3."""

    def augment(key, images, labels, **options):
        images, targets = device_augmentation.augment_batch(key, images, labels, **options)
        return jnp.where(labels[0] == 3, jnp.nan, images), targets

    monkeypatch.setattr(steps, "augment_batch", augment)


@pytest.mark.usefixtures("bad_batches")
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_skipped_step_changes_the_count_of_steps_alone(micro_batches):
    mesh, spec = mesh_of(2), dataclasses.replace(SPEC, drop_path=0.0)
    options = {"micro_batches": micro_batches, "ema_decay": 0.9}

    def run(state, step, labels):
        for label in labels:
            batch = {
                "image": np.full((4, 32, 32, 3), 9, np.uint8),
                "label": np.array([label, 0, 1, 2], np.int32),
            }
            state, metrics = step(state, put_batch(batch, batch_sharding(mesh)))
            assert bool(jnp.isfinite(metrics.loss)) == (label != 3)
        return jax.device_get(state)

    begin = functools.partial(start, mesh, rate=1e-2, spec=spec, averaging=True, **options)
    state, step = begin(skip_nonfinite=True)
    again = jax.tree.map(jnp.copy, state)  # the step reuses the memory
    skipped, without = run(state, step, [1, 3, 2]), run(again, step, [1, 2])
    poisoned = run(*begin(skip_nonfinite=False), [1, 3])
    assert (skipped.step, without.step) == (3, 2)
    assert np.isnan(poisoned.parameters["cdm"]["bias"]).any()
    for got, expected in zip(jax.tree.leaves(skipped[1:]), jax.tree.leaves(without[1:]), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("bad_batches")
def test_one_count_of_steps_drives_the_rate_through_skipped_steps():
    state, step = start(
        mesh_of(1), rate=lambda step: jnp.where(step < 2, 1e-2, 0.0), weight_decay=0.0, skip_nonfinite=True
    )
    rates, biases = [], []
    for label in (1, 3, 2):
        batch = {"image": jnp.full((2, 32, 32, 3), 9, jnp.uint8), "label": jnp.array([label, 0], jnp.int32)}
        state, metrics = step(state, batch)
        rates.append(float(metrics.learning_rate))
        biases.append(np.asarray(state.parameters["cdm"]["bias"]))
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 0.0])
    np.testing.assert_array_equal(biases[1], biases[0])  # skipped
    np.testing.assert_array_equal(biases[2], biases[0])  # the third step, at the third step's rate

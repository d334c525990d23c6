"""Every training option changes what it should and nothing else, from config to step or batch."""

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from jax.sharding import AxisType, Mesh
from small_batches import make_split

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.datasets import Split
from lctr_jax.distributed.mesh import BATCH_AXES, make_mesh
from lctr_jax.distributed.preemption import Interruption
from lctr_jax.models.parameters import initialize
from lctr_jax.run import assembly
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.experiment import Experiment
from lctr_jax.training.log import RunLog
from lctr_jax.training.plan import Plan
from lctr_jax.training.state import new_state
from lctr_jax.training.training_config import TrainingOptions

# In the compiled step. Of a step's outcome: what changes; everything else of it stays.
IN_THE_STEP = {
    "augmentation.erasing": (1.0, {"loss", "gradient"}),
    "augmentation.mixup": (0.8, {"loss", "gradient"}),
    "augmentation.cutmix": (1.0, {"loss", "gradient"}),
    "augmentation.label_smoothing": (0.5, {"loss", "gradient"}),
    "model.drop_path": (0.9, {"loss", "gradient"}),
    "model.dtype": ("bfloat16", {"loss", "gradient"}),
    "train.lr": (1.0, {"rate", "updates"}),
    "train.weight_decay": (50.0, {"updates"}),
    "train.layer_decay": (0.5, {"updates"}),
    "train.lr_multiplier": (0.5, {"updates"}),
    "train.ema_decay": (0.5, {"weights"}),
    "train.micro_batches": (2, set()),
}
# In the schedule: the rate of some step of ten epochs of ten steps changes.
IN_THE_SCHEDULE = {
    "train.lr": 1e-3,
    "train.batch_size": 64,
    "train.epochs": 20,
    "train.warmup_lr": 1e-7,
    "train.min_lr": 1e-6,
    "train.warmup_epochs": 2.0,
    "train.schedule": "per_step",
}
# In the batch: the pixels, or which images there are.
IN_THE_BATCH = {
    "seed": (1, {"image", "id"}),
    "train.batch_size": (4, {"image", "id"}),
    "augmentation.repeats": (3, {"image", "id"}),
    "augmentation.image_size": (24, {"image"}),
    "augmentation.resize": (20, {"image"}),
    "augmentation.crop_scale": ((0.9, 1.0), {"image"}),
    "augmentation.crop_ratio": ((2.0, 2.1), {"image"}),
    "augmentation.interpolation": ("bilinear", {"image"}),
    "augmentation.horizontal_flip": (1.0, {"image"}),
    "augmentation.randaugment_layers": (4, {"image"}),
    "augmentation.color_jitter": (0.9, {"image"}),
}
# These change how the two operations that are drawn look, so some must be.
IN_RANDAUGMENT = {"augmentation.randaugment_magnitude": 2.0, "augmentation.randaugment_magnitude_std": 5.0}
# What the loop does, or where it runs, and where that is tested.
ELSEWHERE = {
    "augmentation.fast_decode": "test_train_transforms",
    "train.freeze": "test_freezing",
    "train.cached_crops": "test_freezing",
    "train.fsdp": "test_training",
    "train.skip_nonfinite": "test_training",
    "train.log_every_steps": "test_plan",
    "train.checkpoint_every_epochs": "test_plan",
    "train.eval_every_epochs": "test_plan",
    "train.keep_best": "test_plan",
    "train.keep_best_class_head": "test_run_checkpoints",
    "train.patience": "test_plan",
    "train.keep_checkpoints": "test_run_checkpoints",
    "train.profile": "test_train_command",
}
SIZE = {"width": 16, "depth": 2, "heads": 2, "image_size": 16, "patch_size": 8}


def make_config(**changes):
    """A tiny network, nothing random, a rate that is not negligible; `changes` by dotted name."""
    config: Any = default_config()
    config.model.update(SIZE, drop_path=0.0, dtype="float32")
    config.augmentation.update(erasing=0.0, randaugment_layers=0, repeats=1, horizontal_flip=0.0)
    config.train.update(batch_size=8, warmup_epochs=5.0, warmup_lr=1e-3, lr=64.0 * 1e-3, epochs=10)
    for name, value in changes.items():
        group, _, option = name.rpartition(".")
        (config[group] if group else config)[option] = value
    return parse_config(config)


def outcome(changes) -> dict[str, np.ndarray]:
    """What a run's compiled step makes of a batch."""
    config = make_config(**changes)
    spec = config.spec(num_classes=3)
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    before = initialize(spec, jax.random.key(0))
    state = new_state(
        before, assembly.make_optimizer(config.train, spec), averaging=config.train.ema_decay > 0
    )
    step = assembly.compile_training(config, mesh, state, spec, steps_per_epoch=1)
    before = jax.tree.map(np.asarray, before)  # the step reuses the memory
    rng = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(rng.integers(0, 256, (8, 16, 16, 3), np.uint8)),
        "label": jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
    }
    # The sixth step, where the cosine gives the rate.
    state, metrics = step(state._replace(step=jnp.asarray(6, jnp.int32)), batch)
    updates = jax.tree.map(lambda new, old: np.asarray(new) - old, state.parameters, before)
    averaged = jax.tree.map(lambda used, new: np.asarray(used - new), state.weights, state.parameters)
    joined = functools.partial(lambda tree: np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]))
    return {
        "loss": np.asarray(metrics.loss),
        "gradient": np.asarray(metrics.grad_norm),
        "rate": np.asarray(metrics.learning_rate),
        "updates": joined(updates),
        "weights": joined(averaged),
    }


def differs(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether more differs than rounding explains: of a gradient of zero AdamW makes a whole step."""
    return bool((~np.isclose(one, other, rtol=1e-5, atol=2e-5 if one.ndim else 0)).mean() > 0.02)


plain_outcome = functools.cache(lambda: outcome({}))


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_THE_STEP)
def test_options_of_the_step(name):
    value, expected = IN_THE_STEP[name]
    got, plain = outcome({name: value}), plain_outcome()
    changed = {key for key in plain if differs(got[key], plain[key])}
    if "gradient" in expected:  # AdamW's first update is the gradient's sign, which may or may not change
        changed -= {"updates"}
    assert changed == expected


@pytest.mark.parametrize("name", IN_THE_SCHEDULE)
def test_options_of_the_schedule(name):
    steps = np.arange(100, dtype=np.int32)
    plain, got = (
        jax.vmap(assembly.make_schedule(Plan(make_config(**changes).train, 10)))(steps)
        for changes in ({}, {name: IN_THE_SCHEDULE[name]})
    )
    assert not np.allclose(plain, got, rtol=1e-4)


class Records:
    """Eleven noise images as a prepared data set has them; record 3 may be damaged."""

    def __init__(self, *, damaged: bool = False):
        self._records = make_split(11)
        if damaged:
            self._records[3] |= {"image": b"no picture"}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index):
        record = self._records[index]
        return record | {"id": record["id"].encode()}


def open_batches(changes, records):
    """The batches as a run opens them, by threads of this process."""
    config = make_config(**{"data.num_workers": 0} | changes)
    split = Split(name="train", class_names=["a", "b", "c"], has_boxes=True, has_masks=False, source=records)
    experiment = Experiment(config, Path("nowhere"), make_mesh(), RunLog(active=False), Interruption())
    return assembly.open_batches(experiment, split, config.spec(num_classes=3))


def batch_of(**changes):
    with contextlib.closing(open_batches(changes, Records())) as batches:
        return next(batches)


def differences(got, plain) -> set[str]:
    return {key for key in ("image", "id") if not np.array_equal(got[key], plain[key])}


@pytest.mark.parametrize("name", IN_THE_BATCH)
def test_options_of_the_batch(name):
    value, expected = IN_THE_BATCH[name]
    assert differences(batch_of(**{name: value}), batch_of()) == expected


@pytest.mark.parametrize("name", IN_RANDAUGMENT)
def test_options_of_randaugment(name):
    layers = {"augmentation.randaugment_layers": 6}
    assert differences(batch_of(**layers, **{name: IN_RANDAUGMENT[name]}), batch_of(**layers)) == {"image"}


def test_a_corrupt_image_ends_the_run_or_is_replaced():
    for policy in ("error", "skip"):
        batches = open_batches({"data.on_corrupt": policy}, Records(damaged=True))
        with contextlib.closing(batches):
            if policy == "error":
                with pytest.raises(ValueError, match=r"images/3\.png"):
                    [next(batches) for _ in range(4)]
            else:
                assert sum(next(batches)["replaced"].sum() for _ in range(4)) >= 1


def test_every_option_is_in_a_table():
    groups = {"augmentation": Augmentation, "train": TrainingOptions}
    options = {f"{group}.{f.name}" for group, kind in groups.items() for f in dataclasses.fields(kind)}
    tables = IN_THE_STEP.keys() | IN_THE_SCHEDULE.keys() | IN_THE_BATCH.keys() | IN_RANDAUGMENT.keys()
    assert options == (tables | ELSEWHERE.keys()) - {"seed", "model.drop_path", "model.dtype"}
    assert options <= flatten_dict(default_config().to_dict(), sep=".").keys()

"""The step, every method and the augmentation work without implicit promotion of data types and ranks."""

import jax
import jax.numpy as jnp
import optax
import pytest
from test_training import mesh_of

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.models.methods import METHODS
from lctr_jax.models.parameters import bind, initialize, split_trained
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.device_augmentation import augment_batch
from lctr_jax.training.optimizer import adamw
from lctr_jax.training.state import new_state
from lctr_jax.training.steps import train_step
from lctr_jax.training.training_config import TrainingOptions

IMAGES = jax.ShapeDtypeStruct((4, 32, 32, 3), "uint8")
LABELS = jax.ShapeDtypeStruct((4,), "int32")

FAMILIES = [{}, {"layer_scale": True, "registers": 2, "cls_position": False}]


@pytest.mark.parametrize(
    "options", [{"erasing": 0.25}, {"mixup": 0.8, "cutmix": 1.0, "label_smoothing": 0.1}]
)
def test_augmentation(options):
    key, augmentation = jax.random.key(0), Augmentation(**options)
    jax.eval_shape(
        lambda *batch: augment_batch(key, *batch, num_classes=5, augmentation=augmentation), IMAGES, LABELS
    )


@pytest.mark.parametrize("family", FAMILIES, ids=["deit", "registers"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_methods(method, dtype, family):
    size = {"width": 64, "depth": 2, "heads": 2, "image_size": 32, "patch_size": 8, "drop_path": 0.1}
    spec = ModelSpec(num_classes=5, method=method, dtype=dtype, **size, **family)
    optimizer = adamw(weight_decay=0.05)

    def start():
        trained, others = split_trained(spec, initialize(spec, jax.random.key(0)))
        return new_state(trained, optimizer, others=others, averaging=True)

    state = jax.eval_shape(start)
    batch = {"image": IMAGES, "label": LABELS, "replaced": jax.ShapeDtypeStruct((4,), bool)}
    options = TrainingOptions(batch_size=4, micro_batches=2, ema_decay=0.9, skip_nonfinite=True)

    def step(state, batch):
        return train_step(
            state,
            batch,
            mesh=mesh_of(1),
            spec=spec,
            optimizer=optimizer,
            schedule=optax.constant_schedule(1e-3),
            seed=0,
            augmentation=Augmentation(),
            options=options,
        )

    jax.eval_shape(step, state, batch)
    for side in (32, 48):  # 48: positions are resampled
        images = jax.ShapeDtypeStruct((4, side, side, 3), "float32")
        classes = jnp.zeros((4, 3), jnp.int32)
        jax.eval_shape(
            lambda parameters, images: bind(spec, parameters)(images, classes).localization_map,  # noqa: B023
            state.weights,
            images,
        )

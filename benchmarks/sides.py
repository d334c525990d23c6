"""Both sides of the step benchmark as functions that run one blocking step on random images."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.programs import fresh_state, our_step, published_spec
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import batch_sharding, make_mesh, put_batch, replicated
from lctr_jax.evaluation.forward import compile_forward
from lctr_jax.models.execution import device_kind, resolve
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import Parameters, bind, initialize
from lctr_jax.models.spec import ModelSpec

Side = tuple[Callable[[], Any], Callable[[], Any]]
"""Training and evaluation."""


def project_sides(batch: int, classes: int, size: str, dtype: str) -> Side:
    """Return our training step, as `train.py` runs it, and evaluation pass with maps, on all devices.

    `size` is e.g. "deit_small", `dtype` "float32" or "bfloat16". Each call runs one step, waits for it and
    returns its result; training continues from its own state. The first call of each compiles.
    """
    return our_training(batch, classes, size, dtype), our_evaluation(batch, classes, size, dtype)


def our_training(
    batch: int, classes: int, size: str, dtype: str, *, method: str = "lctr"
) -> Callable[[], Any]:
    """Return only the training step of `project_sides`, for any method."""
    spec = published_spec(size, classes=classes, dtype=dtype, method=method)
    images, labels = random_batch(batch, classes)
    return _training(spec, {"image": images, "label": labels})


def our_cached_training(batch: int, classes: int, size: str, dtype: str, *, method: str) -> Callable[[], Any]:
    """Return the training step of a method with a frozen backbone, on cached features."""
    spec = published_spec(size, classes=classes, dtype=dtype, method=method)
    images, labels = random_batch(batch, classes)

    def run(parameters: Parameters) -> dict[str, jax.Array]:
        network = bind(resolve(spec, device_kind(jax.devices())), parameters)
        output = network.backbone(normalize(jnp.asarray(images)), statistics="cls")
        return {name: getattr(output, name) for name in network.head_features}

    rng = np.random.default_rng(0)
    features = {
        name: rng.standard_normal(array.shape, np.float32).astype(array.dtype)
        for name, array in jax.eval_shape(run, initialize(spec, jax.random.key(0))).items()
    }
    return _training(spec, {"features": features, "label": labels})


def _training(spec: ModelSpec, batch: dict[str, Any]) -> Callable[[], Any]:
    mesh = make_mesh()
    on_devices = put_batch(batch, batch_sharding(mesh))
    state = jax.device_put(fresh_state(spec), replicated(mesh))
    step = our_step(
        spec, mesh, state, augmentation=Augmentation(erasing=0.0)
    )  # PyTorch's side erases nothing

    def train() -> Any:
        nonlocal state
        state, metrics = step(state, on_devices)
        return jax.block_until_ready(metrics)

    return train


def our_evaluation(batch: int, classes: int, size: str, dtype: str) -> Callable[[], Any]:
    """Return only the evaluation pass of `project_sides`."""
    spec, mesh = published_spec(size, classes=classes, dtype=dtype), make_mesh()
    images, labels = random_batch(batch, classes)
    forward = compile_forward(spec, mesh)
    parameters = jax.device_put(initialize(spec, jax.random.key(0)), replicated(mesh))
    return lambda: jax.block_until_ready(forward(parameters, images, labels))


def torch_sides(batch: int, classes: int, size: str, dtype: str) -> Side:
    """Return PyTorch's plain AdamW step, and logits with the predicted class's map; bfloat16 by autocast.

    Images are normalized beforehand, while our step includes normalization.
    """
    return torch_training(batch, classes, size, dtype), torch_evaluation(batch, classes, size, dtype)


def torch_training(
    batch: int, classes: int, size: str, dtype: str, *, device: str = "cpu", compile_blocks: bool = False
) -> Callable[[], Any]:
    """Return only the training step of `torch_sides`, on "cpu" or "cuda"."""
    import torch

    from benchmarks.torch_lctr import train_step

    model, images, labels = _torch_network(batch, classes, size, device, compile_blocks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.05)

    return lambda: train_step(model, optimizer, images, labels, dtype=dtype).item()  # waits for the device


def torch_evaluation(
    batch: int, classes: int, size: str, dtype: str, *, device: str = "cpu", compile_blocks: bool = False
) -> Callable[[], Any]:
    """Return only the evaluation pass of `torch_sides`, on "cpu" or "cuda"."""
    import torch

    from benchmarks.torch_lctr import autocast, localization_map

    model, images, _ = _torch_network(batch, classes, size, device, compile_blocks)
    model.eval()

    def evaluate() -> Any:
        with torch.inference_mode(), autocast(dtype, device):
            output = localization_map(model, images)
        if device == "cuda":
            torch.cuda.synchronize()
        return output

    return evaluate


def random_batch(batch: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 images [batch, 224, 224, 3] and int32 labels [batch]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, 224, 224, 3), np.uint8)
    return images, rng.integers(0, classes, batch).astype(np.int32)


def _torch_network(batch: int, classes: int, size: str, device: str, compile_blocks: bool):
    import torch

    from benchmarks.torch_lctr import TorchLCTR

    model = TorchLCTR(published_spec(size, classes=classes, dtype="float32")).to(device)
    if compile_blocks:
        for block in model.blocks:
            block.compile()
    images, labels = random_batch(batch, classes)
    normalized = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).sub(0.45).div(0.22)
    return model, normalized.contiguous().to(device), torch.from_numpy(labels).long().to(device)

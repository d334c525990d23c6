"""Comparisons with the reference on this device: golden files, attention, a short training."""

import dataclasses
import functools
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from benchmarks.accelerator.scale import Scale, implementations
from lctr_jax.checkpoints import torch_names
from lctr_jax.models.execution import device_kind, matmul_precision, resolve
from lctr_jax.models.methods import get_method
from lctr_jax.models.parameters import Parameters, bind, initialize
from lctr_jax.models.spec import ModelSpec, model_spec
from lctr_jax.training.optimizer import adamw
from lctr_jax.training.steps import gradients

GOLDENS = Path(__file__).parents[2] / "tests" / "goldens"
NETWORKS = {
    "tiny": ("tiny_lctr.npz", ModelSpec(num_classes=7, width=48, depth=3, heads=3)),
    "small": ("deit_small_lctr_200.npz", model_spec("deit_small", num_classes=200)),
}
LAYOUTS = torch_names.BACKBONE | dict(get_method("lctr").torch_names)
DTYPES = ("float32", "bfloat16")
LARGEST = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest accepted relative error of values on any device; ten times as much for gradients."""


def spec_in(spec: ModelSpec, dtype: str) -> ModelSpec:
    """Return the spec with that data type and the precision that a run would use here."""
    open_spec = dataclasses.replace(spec, dtype=dtype, precision="auto", layer_loop="auto")
    return resolve(open_spec, device_kind(jax.devices()))


@functools.partial(jax.jit, static_argnums=0)
def _gradients(spec: ModelSpec, *arguments: Any) -> Any:
    with matmul_precision(spec):
        return gradients(spec, *arguments)


@functools.partial(jax.jit, static_argnums=0)
def _outputs(spec: ModelSpec, parameters: Parameters, images: Any) -> Any:
    with matmul_precision(spec):
        return bind(spec, parameters)(images)


def golden_cases(scale: Scale) -> list[Any]:
    """Return the (network, dtype) pairs."""
    return [(network, dtype) for network in scale.networks for dtype in DTYPES]


def compare_with_golden(scale: Scale, case: Any) -> list[str]:
    """Compare logits, maps, loss and gradients of a network with its golden file."""
    network, dtype = case
    file, spec = NETWORKS[network]
    spec = spec_in(spec, dtype)
    golden, parameters, seeded = np.load(GOLDENS / file), golden_parameters(spec), _seeded()
    images = jnp.asarray(seeded.images(2, 0))
    output = _outputs(spec, parameters, images)
    values = [
        relative_error(output.logits, golden["logits"]),
        relative_error(output.class_map, golden["cam"]),
        relative_error(output.relation_map, golden["rpam"]),
    ]
    labels = jax.nn.one_hot(jnp.asarray(seeded.labels(2, spec.num_classes, 0)), spec.num_classes)
    loss, _, gradient, *_ = _gradients(spec, parameters, images, labels)
    values.append(abs(float(loss) / float(golden["loss"]) - 1))
    worst = worst_gradient(gradient, golden, spec)
    return [network, dtype, *map(show_error, (*values, worst)), verdict(max(values), worst, dtype)]


def worst_gradient(gradient: Parameters, golden: Any, spec: ModelSpec) -> float:
    """Return the largest relative error of a gradient, or of its norm if the golden file has only that."""
    flat = {path: np.asarray(leaf, np.float32) for path, leaf in flatten_dict(gradient, sep=".").items()}
    errors = []
    for name, value in torch_names.to_torch(flat, LAYOUTS, spec.depth).items():
        if f"grad/{name}" in golden:
            expected = golden[f"grad/{name}"]
            errors.append(float(np.linalg.norm(value - expected) / np.linalg.norm(expected)))
        else:
            errors.append(abs(float(np.linalg.norm(value)) / float(golden[f"grad_norm/{name}"]) - 1))
    return max(errors)


def attention_cases(scale: Scale) -> list[Any]:
    """Return the (implementation, dtype, image side) cases; cuDNN has no attention in float32."""
    sides = (224, 256) if "small" in scale.networks else (224,)
    cases = [(name, dtype, side) for name in implementations() for dtype in DTYPES for side in sides]
    return [case for case in cases if case[:2] != ("cudnn", "float32")]


def compare_attention(scale: Scale, case: Any) -> list[str]:
    """Compare logits and gradients of a two-layer network with those of plain attention."""
    name, dtype, side = case
    spec = spec_in(ModelSpec(num_classes=10, width=192, depth=2, heads=3, image_size=side), dtype)
    parameters = initialize(spec, jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (4, side, side, 3))
    targets = jax.nn.one_hot(jnp.arange(4), 10)
    got, expected = (
        _gradients(dataclasses.replace(spec, attention=attention), parameters, images, targets)
        for attention in (name, "plain")
    )
    logits = relative_error(got[1], np.asarray(expected[1], np.float32))
    pairs = zip(jax.tree.leaves(got[2]), jax.tree.leaves(expected[2]), strict=True)
    worst = max(
        float(jnp.linalg.norm(a - b) / (jnp.linalg.norm(b) + 1e-12))
        for a, b in pairs
        if float(jnp.abs(b).max())
    )
    tokens = str((side // 16) ** 2 + 1)
    return [name, dtype, tokens, show_error(logits), show_error(worst), verdict(logits, worst, dtype)]


def trajectory_cases(scale: Scale) -> list[Any]:
    """Return the data types."""
    return list(DTYPES)


def follow_trajectory(scale: Scale, case: Any) -> list[str]:
    """Repeat the golden training: 30 steps of AdamW on three alternating batches."""
    golden, seeded = np.load(GOLDENS / "trajectory.npz"), _seeded()
    spec = spec_in(NETWORKS["tiny"][1], case)
    parameters, optimizer = golden_parameters(spec), adamw(weight_decay=0.05)
    optimizer_state, errors, loss = optimizer.init(parameters), [], 0.0
    update = jax.jit(optimizer.update)
    for step, expected in enumerate(golden["losses"]):
        images = jnp.asarray(seeded.images(8, 100 + step % 3))
        labels = jax.nn.one_hot(jnp.asarray(seeded.labels(8, 7, 100 + step % 3)), 7)
        loss, _, gradient, *_ = _gradients(spec, parameters, images, labels)
        updates, optimizer_state = update(gradient, optimizer_state, parameters)
        parameters = optax.apply_updates(parameters, optax.tree.scale(-1e-3, updates))
        errors.append(abs(float(loss) / float(expected) - 1))
    error = max(errors)
    return [case, show_error(error), f"{float(loss):.4f}", verdict(error, 0.0, case)]


def golden_parameters(spec: ModelSpec) -> Parameters:
    """Return the weights of the golden files."""
    seeded = _seeded()
    state = seeded.state_dict(seeded.lctr_shapes(spec.num_classes, spec.width, spec.depth), 0)
    flat = torch_names.from_torch(state, LAYOUTS, spec.depth)
    return jax.tree.map(jnp.asarray, unflatten_dict(flat, sep="."))


def relative_error(got: Any, expected: np.ndarray) -> float:
    """Return the largest difference divided by the largest expected magnitude."""
    return float(np.abs(np.asarray(got, np.float32) - expected).max() / np.abs(expected).max())


def show_error(error: float) -> str:
    """Format an error for the table."""
    return f"{error:.1e}"


def verdict(values: float, gradients: float, dtype: str) -> str:
    """Return "yes" if errors are within the tolerance of the data type, otherwise "NO", also for NaN."""
    return "yes" if values <= LARGEST[dtype] and gradients <= 10 * LARGEST[dtype] else "NO"


def _seeded() -> ModuleType:
    """Import the module that generates the inputs of the golden files."""
    spec = importlib.util.spec_from_file_location("seeded", GOLDENS / "seeded.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Networks with the goldens' seeded weights."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from goldens import seeded

from lctr_jax.checkpoints import torch_names
from lctr_jax.models.methods import get_method
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.spec import ModelSpec, model_spec

GOLDENS = Path(__file__).parent / "goldens"
TINY = ModelSpec(num_classes=7, width=48, depth=3, heads=3)
SMALL = model_spec("deit_small", num_classes=200)
LAYOUTS = torch_names.BACKBONE | dict(get_method("lctr").torch_names)


def torch_state(spec: ModelSpec) -> dict[str, np.ndarray]:
    """The seeded PyTorch checkpoint of this spec, by PyTorch's names."""
    return seeded.state_dict(seeded.lctr_shapes(spec.num_classes, spec.width, spec.depth), 0)


def parameters(spec: ModelSpec) -> Parameters:
    """The same weights as our parameters."""
    flat = torch_names.from_torch(torch_state(spec), LAYOUTS, spec.depth)
    return jax.tree.map(jnp.asarray, unflatten_dict(flat, sep="."))


def images(count: int, seed: int) -> jax.Array:
    """The goldens' images."""
    return jnp.asarray(seeded.images(count, seed))


def labels(count: int, num_classes: int, seed: int) -> jax.Array:
    """The goldens' labels."""
    return jnp.asarray(seeded.labels(count, num_classes, seed))


def relative_error(got, expected) -> float:
    """Largest difference over the largest expected magnitude."""
    return float(np.abs(np.asarray(got) - expected).max() / np.abs(expected).max())

"""Learning rates per layer: layer-wise decay, and a separate rate for the class head."""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lctr_jax.distributed.mesh import STACKED
from lctr_jax.models.parameters import Parameters

BACKBONE_MODULE = "backbone"


def rate_factors(
    parameters: Parameters,
    *,
    depth: int,
    layer_decay: float,
    lr_multiplier: float,
    class_head: Collection[str],
) -> Parameters:
    """Compute the factor of each array's learning rate, in a shape that broadcasts to the array's.

    Layer-wise decay as in fine-tuning BEiT and MAE: `layer_decay` ** (depth + 1 - layer). Layer 0 is the
    patch embedding with CLS and positions, layer i is block i, the final norm and the heads are layer
    depth + 1.

    Args:
        parameters: the trained parameters.
        depth: number of blocks.
        layer_decay: factor from one layer to the one before it; 1 for none.
        lr_multiplier: further factor for the class head.
        class_head: top-level modules of the class head; empty for all outside the backbone.
    """
    by_block = layer_decay ** jnp.arange(depth, 0, -1, dtype=jnp.float32)

    def factor(path: tuple[Any, ...], parameter: jax.Array) -> jax.Array:
        module, *below = (key.key for key in path)
        if module != BACKBONE_MODULE:
            return jnp.float32(lr_multiplier if module in (class_head or (module,)) else 1)
        if below[0] == STACKED:
            return jnp.expand_dims(by_block, tuple(range(1, parameter.ndim)))
        return jnp.float32(1 if below[0] == "norm" else layer_decay ** (depth + 1))

    return jax.tree.map_with_path(factor, parameters)


def scale_rates(**settings: Any) -> optax.GradientTransformation:
    """Multiply updates, including weight decay, by `rate_factors` with these settings."""

    def scale(updates: Any, _: Any) -> Any:
        return jax.tree.map(
            lambda update, factor: update * factor, updates, rate_factors(updates, **settings)
        )

    return optax.stateless(scale)

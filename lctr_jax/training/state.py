"""The state that a training step updates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array, Int32

from lctr_jax.models.parameters import Parameters, merge


class TrainState(NamedTuple):
    """The complete training state; with the config and the data it determines all later steps.

    Random draws and the order of the data follow from the seed and `step`.
    """

    step: Int32[Array, ""]  # steps taken
    parameters: Parameters  # parameters that the optimizer updates
    optimizer: optax.OptState
    average: Parameters  # moving average of the parameters; empty if disabled
    others: Parameters  # frozen modules and running statistics; empty for most methods
    loss_scale: DynamicScale | None = None  # factor of the loss in float16

    @property
    def weights(self) -> Parameters:
        """The weights that are evaluated and saved, with the moving average if enabled."""
        return merge(self.average or self.parameters, self.others)


def new_state(
    parameters: Parameters,
    optimizer: optax.GradientTransformation,
    *,
    others: Parameters | None = None,
    averaging: bool = False,
    loss_scaling: bool = False,
) -> TrainState:
    """Build the state before the first step.

    Args:
        parameters: trained parameters (`split_trained`).
        optimizer: the transformation whose state to initialize.
        others: frozen modules and running statistics (`split_trained`).
        averaging: keep a moving average of the parameters.
        loss_scaling: scale the loss, for float16, whose smallest positive numbers are too large for many
            gradients (Micikevicius et al., "Mixed Precision Training", ICLR 2018). The factor starts at 2^16,
            is halved when a gradient overflows, and doubled after 2000 steps without overflow, as in
            PyTorch's AMP.
    """
    average = (
        jax.tree.map(jnp.copy, parameters) if averaging else {}
    )  # a copy: steps reuse their state's memory
    scale = None
    if loss_scaling:
        arrays: dict[str, Any] = {"fin_steps": jnp.zeros((), jnp.int32), "scale": jnp.full((), 2.0**16)}
        scale = DynamicScale(**arrays)
    step = jnp.zeros((), jnp.int32)
    return TrainState(step, parameters, optimizer.init(parameters), average, others or {}, scale)

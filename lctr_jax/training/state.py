"""What a training step changes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array, Int32

from lctr_jax.models.parameters import Parameters, merge


class TrainState(NamedTuple):
    """The whole memory of training: with the config and the data, it determines every later step.

    Random draws come from the seed and `step`, and the data's order from the seed and `step` too.
    """

    step: Int32[Array, ""]  # steps taken
    parameters: Parameters  # what the optimizer trains
    optimizer: optax.OptState
    average: Parameters  # the parameters' moving average over steps; empty where none is kept
    others: Parameters  # frozen modules and running statistics; empty for most methods
    loss_scale: DynamicScale | None = None  # what the loss is multiplied by in float16

    @property
    def weights(self) -> Parameters:
        """The whole network as it is evaluated and saved: with the average, where one is kept."""
        return merge(self.average or self.parameters, self.others)


def new_state(
    parameters: Parameters,
    optimizer: optax.GradientTransformation,
    *,
    others: Parameters | None = None,
    averaging: bool = False,
    loss_scaling: bool = False,
) -> TrainState:
    """The state before the first step; `parameters` and `others` as `split_trained` gives them.

    `loss_scaling` is for float16, whose smallest numbers are too large for many gradients: the loss is
    multiplied (Micikevicius et al., "Mixed Precision Training", ICLR 2018). The factor starts at 2^16, is
    halved when a gradient overflows, and doubled after 2000 that do not, as in the published script's AMP.
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

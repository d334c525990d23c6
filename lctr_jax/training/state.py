"""What a training step changes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32

from lctr_jax.models.parameters import Parameters


class TrainState(NamedTuple):
    """The whole memory of training: with the config and the data, it determines every later step.

    Random draws come from the seed and `step`, and the data's order from the seed and `step` too.
    """

    step: Int32[Array, ""]  # steps taken
    parameters: Parameters
    optimizer: optax.OptState
    average: Parameters  # the parameters' moving average over steps; empty where none is kept

    @property
    def weights(self) -> Parameters:
        """What is evaluated and given away: the average, where one is kept."""
        return self.average or self.parameters


def new_state(
    parameters: Parameters, optimizer: optax.GradientTransformation, *, averaging: bool = False
) -> TrainState:
    """The state before the first step."""
    average = (
        jax.tree.map(jnp.copy, parameters) if averaging else {}
    )  # a copy: steps reuse their state's memory
    return TrainState(jnp.zeros((), jnp.int32), parameters, optimizer.init(parameters), average)

"""What a training step changes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
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
) -> TrainState:
    """The state before the first step; `parameters` and `others` as `split_trained` gives them."""
    average = (
        jax.tree.map(jnp.copy, parameters) if averaging else {}
    )  # a copy: steps reuse their state's memory
    return TrainState(jnp.zeros((), jnp.int32), parameters, optimizer.init(parameters), average, others or {})

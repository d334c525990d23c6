"""How a fresh backbone's arrays are drawn."""

from flax import nnx

from lctr_jax.models.sizes import ModelSpec

initialize_embedding = nnx.initializers.truncated_normal(0.02)


def kernel_initializer(spec: ModelSpec) -> nnx.Initializer:
    """Of dense and patch kernels: DeiT's fixed standard deviation, or one by fan-in (LeCun et al., 1998).

    A standard deviation of 0.02 suits widths of 200 and more; a network of width 96 hardly passes its signal
    on at first and spends hundreds of steps at the loss of a guess.
    """
    if spec.initialization == "fan_in":
        return nnx.initializers.lecun_normal()
    return nnx.initializers.truncated_normal(0.02)

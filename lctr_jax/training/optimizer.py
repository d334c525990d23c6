"""AdamW with LCTR's schedule and decay mask (the published training command)."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lctr_jax.models.parameters import Parameters

REFERENCE_BATCH = 512  # the batch that `lr` is meant for
_UNDECAYED = {"bias", "scale", "pos_embed", "cls_token", "registers"}


def learning_rate(
    *,
    lr: float,
    batch_size: int,
    epochs: int,
    steps_per_epoch: int,
    warmup_lr: float,
    min_lr: float,
    warmup_epochs: float,
    per_epoch: bool,
) -> optax.Schedule:
    """Linear warm-up, then half a cosine, as a function of the step.

    With T epochs in all, s(t) rises from `warmup_lr` to the peak lr * batch_size / 512 over `warmup_epochs`,
    then is min_lr + (peak - min_lr) (1 + cos(pi t / T)) / 2: the cosine runs from t = 0, hidden by the
    warm-up. Published (`per_epoch`): constant within an epoch, epoch i at s(i - 1), epoch 0 at s(0).
    Otherwise t is the fractional epoch.
    """
    peak = lr * batch_size / REFERENCE_BATCH

    def rate(step: ArrayLike) -> Float[Array, ""]:
        epoch = jnp.asarray(step) / steps_per_epoch
        t = jnp.maximum(jnp.floor(epoch) - 1, 0) if per_epoch else epoch
        warm = warmup_lr + t * (peak - warmup_lr) / (warmup_epochs or 1)
        cosine = min_lr + (peak - min_lr) * (1 + jnp.cos(jnp.pi * t / epochs)) / 2
        return jnp.where(t < warmup_epochs, warm, cosine)

    return rate


def decayed(parameters: Parameters) -> Parameters:
    """Which arrays weight decay applies to: not biases, norm scales, positions or CLS.

    By name, since stacked blocks hide that their biases and scales are one-dimensional.
    """
    return jax.tree.map_with_path(lambda path, _: path[-1].key not in _UNDECAYED, parameters)


def adamw(schedule: optax.ScalarOrSchedule, *, weight_decay: float) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter, 2019), betas (0.9, 0.999), epsilon 1e-8, no clipping."""
    return optax.adamw(schedule, b1=0.9, b2=0.999, eps=1e-8, weight_decay=weight_decay, mask=decayed)

"""AdamW with LCTR's schedule and decay mask (the published training command)."""

import math

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
    """Build the schedule: linear warm-up, then half a cosine, as a function of the step.

    With T epochs in all, s(t) rises from `warmup_lr` to the peak lr * batch_size / 512 over `warmup_epochs`,
    then is min_lr + (peak - min_lr) (1 + cos(pi t / T)) / 2: the cosine runs from t = 0, hidden by the
    warm-up. Published (`per_epoch`): constant within an epoch, epoch i at s(i - 1), epoch 0 at s(0).
    Otherwise t is the fractional epoch.

    Which epoch a step belongs to, and whether it is one of the warm-up, is decided by integers: a float32
    quotient, once compiled, can fall short of the whole number at an epoch's first step.
    """
    peak = lr * batch_size / REFERENCE_BATCH
    # Rounded, since 0.1 epochs of 30 steps are 3.0000000000000004 steps in floating point.
    warmup_steps = math.ceil(round(warmup_epochs * steps_per_epoch, 6))

    def rate(step: ArrayLike) -> Float[Array, ""]:
        step = jnp.asarray(step, jnp.int32)
        if per_epoch:  # every step of epoch i stands for the first step of epoch i - 1
            step = jnp.maximum(step // steps_per_epoch - 1, 0) * steps_per_epoch
        t = step / steps_per_epoch
        warm = warmup_lr + t * (peak - warmup_lr) / (warmup_epochs or 1)
        cosine = min_lr + (peak - min_lr) * (1 + jnp.cos(jnp.pi * t / epochs)) / 2
        return jnp.where(step < warmup_steps, warm, cosine)

    return rate


def decayed(parameters: Parameters) -> Parameters:
    """Which arrays weight decay applies to: not biases, norm scales, positions or CLS.

    By name, since stacked blocks hide that their biases and scales are one-dimensional.
    """
    return jax.tree.map_with_path(lambda path, _: path[-1].key not in _UNDECAYED, parameters)


def adamw(*, weight_decay: float) -> optax.GradientTransformation:
    """Build AdamW (Loshchilov & Hutter, 2019) at a rate of 1: betas (0.9, 0.999), epsilon 1e-8, no clipping.

    What it returns is to be subtracted, times the learning rate. The rate is the training step's to apply,
    since it follows the count of steps, while AdamW's own count, for its bias correction, follows the updates
    that were made: the two differ after a skipped step.
    """
    return optax.chain(
        optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
        optax.add_decayed_weights(weight_decay, mask=decayed),
    )

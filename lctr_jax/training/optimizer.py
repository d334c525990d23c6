"""AdamW with LCTR's learning-rate schedule and weight-decay mask (the published training command)."""

import math

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lctr_jax.models.parameters import Parameters

REFERENCE_BATCH = 512  # batch size that `lr` refers to
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
    """Build the schedule: linear warm-up, then cosine decay, as a function of the step.

    Over T epochs the rate s(t) rises linearly from `warmup_lr` to peak = lr * batch_size / 512 during
    `warmup_epochs`, and is min_lr + (peak - min_lr) (1 + cos(pi t / T)) / 2 afterwards, where t counts from
    the start of training, not from the end of the warm-up. If `per_epoch` (as published), the rate is
    constant within an epoch: s(i - 1) in epoch i and s(0) in epoch 0. Otherwise t is the fractional epoch.

    The epoch of a step, and whether it belongs to the warm-up, are computed with integers: a compiled float32
    quotient can fall short of the whole number at the first step of an epoch.
    """
    peak = lr * batch_size / REFERENCE_BATCH
    # Rounded, because 0.1 epochs of 30 steps are 3.0000000000000004 steps in floating point.
    warmup_steps = math.ceil(round(warmup_epochs * steps_per_epoch, 6))

    def rate(step: ArrayLike) -> Float[Array, ""]:
        step = jnp.asarray(step, jnp.int32)
        if per_epoch:  # all steps of epoch i use the rate of the first step of epoch i - 1
            step = jnp.maximum(step // steps_per_epoch - 1, 0) * steps_per_epoch
        t = step / steps_per_epoch
        warm = warmup_lr + t * (peak - warmup_lr) / (warmup_epochs or 1)
        cosine = min_lr + (peak - min_lr) * (1 + jnp.cos(jnp.pi * t / epochs)) / 2
        return jnp.where(step < warmup_steps, warm, cosine)

    return rate


def decayed(parameters: Parameters) -> Parameters:
    """Return which arrays weight decay applies to: all but biases, norm scales, positions and tokens.

    Decided by name, because the biases and scales of stacked blocks have two dimensions.
    """
    return jax.tree.map_with_path(lambda path, _: path[-1].key not in _UNDECAYED, parameters)


def adamw(*, weight_decay: float) -> optax.GradientTransformation:
    """Build AdamW (Loshchilov & Hutter, 2019) at a rate of 1: betas (0.9, 0.999), epsilon 1e-8, no clipping.

    Its updates are to be multiplied by the learning rate and subtracted. The training step does this, because
    the rate depends on the number of steps, while AdamW's bias correction depends on the number of updates;
    the two differ after a skipped step.
    """
    return optax.chain(
        optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
        optax.add_decayed_weights(weight_decay, mask=decayed),
    )

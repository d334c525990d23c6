"""The part of the augmentation that runs on the devices, inside the jitted training step.

Pure functions of a key and a batch, without loops over samples, so they keep the batch's sharding.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.models.normalization import normalize

_ERASE_ATTEMPTS = 10  # a rectangle that does not fit is drawn again, as published

Images = Float[Array, "batch height width 3"]


def augment_batch(
    key: Key[Array, ""],
    images: UInt8[Array, "batch height width 3"],
    labels: Int[Array, " batch"],
    *,
    num_classes: int,
    augmentation: Augmentation,
) -> tuple[Images, Float[Array, "batch classes"]]:
    """Normalize, erase and mix images.

    Args:
        key: random key of the step.
        images: RGB in 0..255.
        labels: class of each image.
        num_classes: number of classes.
        augmentation: probabilities and strengths.

    Returns:
        Normalized images, and their targets as distributions over the classes.
    """
    erase_key, mix_key = jax.random.split(key)
    prepared = normalize(images)
    if augmentation.erasing:
        prepared = random_erase(erase_key, prepared, probability=augmentation.erasing)
    targets = make_targets(labels, num_classes=num_classes, augmentation=augmentation)
    return mixup_cutmix(
        mix_key, prepared, targets, mixup_alpha=augmentation.mixup, cutmix_alpha=augmentation.cutmix
    )


def make_targets(
    labels: Int[Array, " batch"], *, num_classes: int, augmentation: Augmentation
) -> Float[Array, "batch classes"]:
    """Return the labels as distributions over the classes, smoothed if configured."""
    return optax.smooth_labels(jax.nn.one_hot(labels, num_classes), augmentation.label_smoothing)


def random_erase(
    key: Key[Array, ""],
    images: Images,
    *,
    probability: float = 0.25,
    area: tuple[float, float] = (0.02, 1 / 3),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> Images:
    """Fill a rectangle of some images with normal noise (Zhong et al., AAAI 2020).

    A rectangle never spans a whole side. An image for which ten draws do not fit is left unchanged.

    Args:
        key: random key.
        images: normalized images.
        probability: share of images to erase.
        area: range of the rectangle's area as a share of the image, drawn uniformly.
        aspect: range of height / width, drawn log-uniformly.
    """
    batch, height, width, _ = images.shape
    choose_key, shape_key, place_key, noise_key = jax.random.split(key, 4)
    sides, fits = _draw_rectangles(
        shape_key, batch=batch, height=height, width=width, area=area, aspect=aspect
    )
    free = jnp.array([[height, width]]) - sides
    place = jax.random.uniform(place_key, (batch, 2))
    start = jnp.floor(place * (free + 1).astype(jnp.float32)).astype(jnp.int32)
    chosen = fits & (jax.random.uniform(choose_key, (batch,)) < probability)

    inside = _rectangle_mask(start, start + sides, height=height, width=width)
    noise = jax.random.normal(noise_key, images.shape, images.dtype)
    return jnp.where((inside & chosen[:, None, None])[..., None], noise, images)


def mixup_cutmix(
    key: Key[Array, ""],
    images: Images,
    labels_one_hot: Float[Array, "batch classes"],
    *,
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
    switch_probability: float = 0.5,
) -> tuple[Images, Float[Array, "batch classes"]]:
    """Mix the batch with its reverse by mixup (Zhang et al., ICLR 2018) or cutmix (Yun et al., ICCV 2019).

    One choice is made for the whole batch. Labels are mixed by the share of each image.

    Args:
        key: random key.
        images: normalized images.
        labels_one_hot: distributions over the classes.
        mixup_alpha: parameter of mixup's beta distribution; 0 disables mixup.
        cutmix_alpha: parameter of cutmix's beta distribution; 0 disables cutmix.
        switch_probability: probability of cutmix if both are enabled.
    """
    if mixup_alpha == 0 and cutmix_alpha == 0:
        return images, labels_one_hot
    if mixup_alpha == 0 or cutmix_alpha == 0:
        switch_probability = float(mixup_alpha == 0)
    switch_key, mixup_key, cutmix_key = jax.random.split(key, 3)
    cut, cut_share = _cut(cutmix_key, images, alpha=cutmix_alpha or 1.0)
    mixed, mixed_share = _mix(mixup_key, images, alpha=mixup_alpha or 1.0)
    use_cutmix = jax.random.bernoulli(switch_key, switch_probability)
    share = jnp.where(use_cutmix, cut_share, mixed_share)
    labels = labels_one_hot * share + labels_one_hot[::-1] * (1 - share)
    return jnp.where(use_cutmix, cut, mixed), labels


def _draw_rectangles(
    key: Key[Array, ""],
    *,
    batch: int,
    height: int,
    width: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[Array, Array]:
    """Return the first of ten draws that fits, (height, width) [batch, 2], and whether any does [batch]."""
    area_key, aspect_key = jax.random.split(key)
    shape = (batch, _ERASE_ATTEMPTS)
    areas = jax.random.uniform(area_key, shape, minval=area[0], maxval=area[1]) * height * width
    low, high = jnp.log(aspect[0]), jnp.log(aspect[1])
    ratios = jnp.exp(jax.random.uniform(aspect_key, shape, minval=low, maxval=high))
    sides = jnp.round(jnp.sqrt(jnp.stack([areas * ratios, areas / ratios], axis=-1))).astype(jnp.int32)
    fits = (sides[..., 0] < height) & (sides[..., 1] < width)
    first = jnp.argmax(fits, axis=1)
    return jnp.take_along_axis(sides, first[:, None, None], axis=1)[:, 0], fits.any(axis=1)


def _rectangle_mask(start: Array, stop: Array, *, height: int, width: int) -> Array:
    """Return a mask [..., height, width], true in [start, stop), which are (row, column) [..., 2]."""
    rows, columns = (
        jnp.expand_dims(jnp.arange(length), tuple(range(start.ndim - 1))) for length in (height, width)
    )
    in_rows = (rows >= start[..., :1]) & (rows < stop[..., :1])
    in_columns = (columns >= start[..., 1:]) & (columns < stop[..., 1:])
    return in_rows[..., :, None] & in_columns[..., None, :]


def _mix(key: Key[Array, ""], images: Images, *, alpha: float) -> tuple[Array, Array]:
    share = jax.random.beta(key, alpha, alpha)
    return images * share + images[::-1] * (1 - share), share


def _cut(key: Key[Array, ""], images: Images, *, alpha: float) -> tuple[Array, Array]:
    """Replace a clipped rectangle with sides sqrt(1 - lambda) times the image's and a uniform center."""
    _, height, width, _ = images.shape
    share_key, center_key = jax.random.split(key)
    limits = jnp.array([height, width], jnp.float32)
    sides = jnp.sqrt(1 - jax.random.beta(share_key, alpha, alpha)) * limits
    center = jnp.floor(jax.random.uniform(center_key, (2,)) * limits)
    half = jnp.floor(sides) // 2
    start, stop = (jnp.clip(corner, 0, limits).astype(jnp.int32) for corner in (center - half, center + half))
    inside = _rectangle_mask(start, stop, height=height, width=width)
    mixed = jnp.where(inside[None, ..., None], images[::-1], images)
    return mixed, 1 - inside.mean()

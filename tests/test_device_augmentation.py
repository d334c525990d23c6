"""Erasing, mixup and cutmix on the device compared with their definitions, over many draws and on a mesh."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from lctr_jax.training.device_augmentation import mixup_cutmix, random_erase

SIDE = 48


@pytest.fixture(scope="module")
def erased():
    """2,000 blank images (a value that no noise has) after erasing: where, and with what."""
    images = jnp.full((2000, SIDE, SIDE, 3), 100.0)
    return np.asarray(jax.jit(random_erase)(jax.random.key(0), images))


def rectangle(changed: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_a_quarter_of_the_images_lose_one_solid_rectangle(erased):
    changed = (erased != 100).all(-1)
    np.testing.assert_array_equal(changed, (erased != 100).any(-1))
    touched = changed.any((1, 2))
    assert 0.25 - 0.04 < touched.mean() < 0.25 + 0.04  # four standard deviations
    for mask in changed[touched]:
        top, bottom, left, right = rectangle(mask)
        assert mask[top:bottom, left:right].all()
        assert bottom - top < SIDE
        assert right - left < SIDE


def test_the_rectangles_follow_the_published_laws(erased):
    changed = (erased != 100).all(-1)
    boxes = np.array([rectangle(mask) for mask in changed if mask.any()])
    heights, widths = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    areas = heights * widths / SIDE**2
    assert areas.min() > 0.015
    assert areas.max() < 1 / 3 + 0.02
    # Naively, rectangle by rectangle, with another generator.
    rng, expected = np.random.default_rng(0), []
    while len(expected) < 4000:
        area = rng.uniform(0.02, 1 / 3) * SIDE**2
        aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
        height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if height < SIDE and width < SIDE:
            top, left = rng.integers(SIDE - height + 1), rng.integers(SIDE - width + 1)
            expected.append((top, top + height, left, left + width))
    expected = np.array(expected)
    for column in range(4):
        assert largest_cdf_gap(boxes[:, column], expected[:, column]) < 0.09  # 1 in 1000 by chance
    assert largest_cdf_gap(areas, np.prod(expected[:, 1::2] - expected[:, ::2], axis=1) / SIDE**2) < 0.09


def largest_cdf_gap(one: np.ndarray, other: np.ndarray) -> float:
    values = np.unique(np.concatenate([one, other]))
    cdfs = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(cdfs[0] - cdfs[1]).max())


def test_the_noise_is_normal_for_every_pixel_and_channel(erased):
    noise = erased[erased != 100].reshape(-1, 3)
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(noise.T), np.eye(3), atol=0.02)


def test_erasing_can_be_certain_or_never():
    images = jnp.full((64, SIDE, SIDE, 3), 100.0)
    always = random_erase(jax.random.key(1), images, probability=1.0)
    assert (always != 100).any(axis=(1, 2, 3)).all()
    never = random_erase(jax.random.key(1), images, probability=0.0)
    np.testing.assert_array_equal(never, images)


def test_a_rectangle_that_cannot_fit_leaves_the_image_alone():
    images = jnp.full((64, SIDE, SIDE, 3), 100.0)
    erased = random_erase(jax.random.key(1), images, probability=1.0, area=(1.5, 2.0))
    np.testing.assert_array_equal(erased, images)


@pytest.mark.parametrize("augment", ["erase", "mix"])
def test_a_mesh_changes_nothing(augment):
    images = jax.random.normal(jax.random.key(2), (16, SIDE, SIDE, 3))
    labels = jax.nn.one_hot(jnp.arange(16) % 5, 5)
    mesh = jax.make_mesh((8,), ("data",))
    sharding = NamedSharding(mesh, PartitionSpec("data"))

    @functools.partial(jax.jit, static_argnames="augment")
    def run(key, images, labels, augment):
        if augment == "erase":
            return random_erase(key, images, probability=0.5), labels
        return mixup_cutmix(key, images, labels)

    for seed in range(2):
        alone = run(jax.random.key(seed), images, labels, augment)
        spread = run(jax.random.key(seed), *jax.device_put((images, labels), sharding), augment)
        assert spread[0].sharding.is_equivalent_to(sharding, 4)
        for one, other in zip(alone, spread, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


IMAGES = jnp.broadcast_to(jnp.arange(6.0)[:, None, None, None], (6, SIDE, SIDE, 3))
LABELS = jnp.eye(6)


def test_mixup_mixes_images_and_labels_by_the_same_share():
    shares = []
    for seed in range(200):
        images, labels = mixup_cutmix(jax.random.key(seed), IMAGES, LABELS, cutmix_alpha=0.0)
        share = float(labels[0, 0])
        shares.append(share)
        np.testing.assert_allclose(
            images[:, 0, 0, 0], share * np.arange(6) + (1 - share) * np.arange(6)[::-1], atol=1e-5
        )
        np.testing.assert_allclose(labels, share * np.eye(6) + (1 - share) * np.eye(6)[::-1], atol=1e-6)
    # Beta(0.8, 0.8): mean 1/2, variance 1 / (4 * (2 * 0.8 + 1))
    assert abs(np.mean(shares) - 0.5) < 0.09
    assert abs(np.var(shares) - 1 / 10.4) < 0.03


def test_cutmix_labels_tell_the_share_of_pixels_that_remain():
    seen = []
    for seed in range(100):
        images, labels = mixup_cutmix(jax.random.key(seed), IMAGES, LABELS, mixup_alpha=0.0)
        pasted = np.asarray(images[0, ..., 0] == 5)
        assert (pasted | np.asarray(images[0, ..., 0] == 0)).all()
        np.testing.assert_allclose(labels[0], [1 - pasted.mean(), 0, 0, 0, 0, pasted.mean()], atol=1e-6)
        if pasted.any():
            top, bottom, left, right = rectangle(pasted)
            assert pasted[top:bottom, left:right].all()
        seen.append(pasted.mean())
    assert 0.15 < np.mean(seen) < 0.35  # E[1 - lambda] = 1/2, less what the border clips
    assert np.max(seen) > 0.5


def test_mixup_and_cutmix_take_turns_and_can_both_be_off():
    labels = [mixup_cutmix(jax.random.key(seed), IMAGES, LABELS)[0] for seed in range(100)]
    cut = [bool(((image == 0) | (image == 5)).all()) for image in (images[0] for images in labels)]
    assert 30 < sum(cut) < 70
    images, labels = mixup_cutmix(jax.random.key(0), IMAGES, LABELS, mixup_alpha=0.0, cutmix_alpha=0.0)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)

"""Bootstrap replicates: streaming ones of one evaluation, and paired ones of several finished evaluations."""

import zlib

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

_DRAWS_AT_ONCE = 1 << 21  # of images, by resample_means: 16 MB


def resample_weights(
    image_ids: list[str], *, num_resamples: int, seed: int = 0
) -> Int[np.ndarray, "resamples images"]:
    """Draw how often each image occurs in each bootstrap replicate, as independent Poisson(1) counts.

    The Poisson bootstrap (Chamandy et al., 2012) does not need the list of all images. An image's counts
    depend only on its id and the seed, so intervals do not depend on order or sharding.
    """
    weights = np.empty((num_resamples, len(image_ids)), np.int64)
    for column, image_id in enumerate(image_ids):
        generator = np.random.default_rng([seed, zlib.crc32(image_id.encode())])
        weights[:, column] = generator.poisson(1.0, num_resamples)
    return weights


def replicate_counts(
    weights: Int[np.ndarray, "resamples images"],
    outcomes: Bool[np.ndarray, "images outcomes"] | UInt8[np.ndarray, "images outcomes"],
) -> Int[np.ndarray, "resamples outcomes"]:
    """Count each outcome's successes (0 or 1 per image) in each replicate."""
    # Small integers are exact in float32, whose matrix product is many times faster than an integer one.
    return (weights.astype(np.float32) @ outcomes.astype(np.float32)).astype(np.int64)


def resample_means(
    values: Float[np.ndarray, "images columns"], *, num_resamples: int, seed: int = 0
) -> Float[np.ndarray, "resamples columns"]:
    """Return the columns' means over images drawn with replacement, the same images for all columns.

    The multinomial bootstrap (Efron, 1979). Memory does not grow with the number of resamples.
    """
    images, generator = len(values), np.random.default_rng(seed)
    means = np.empty((num_resamples, values.shape[1]))
    rows = max(1, _DRAWS_AT_ONCE // images)
    for start in range(0, num_resamples, rows):
        part = means[start : start + rows]
        drawn = generator.integers(0, images, (len(part), images))
        drawn += np.arange(len(part))[:, None] * images
        weights = np.bincount(drawn.ravel(), minlength=len(part) * images).reshape(len(part), images)
        part[:] = weights.astype(float) @ values / images
    return means


def percentile_interval(
    replicates: Float[np.ndarray, " resamples"], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of a statistic's replicates."""
    tail = 50 * (1 - confidence)
    low, high = np.percentile(replicates, [tail, 100 - tail])
    return float(low), float(high)

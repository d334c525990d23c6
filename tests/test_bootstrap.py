"""Streaming bootstrap intervals compared with the usual bootstrap."""

import numpy as np
import pytest

from lctr_jax.localization.bootstrap import percentile_interval, replicate_counts, resample_weights

IDS = [f"image {index}" for index in range(400)]


@pytest.fixture(scope="module")
def weights():
    return resample_weights(IDS, num_resamples=2000, seed=0)


def test_weights_are_poisson_and_independent(weights):
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    correlation = np.corrcoef(weights[:, :50], rowvar=False) - np.eye(50)
    assert abs(correlation).max() < 0.12


def test_weights_belong_to_the_image_not_to_its_place(weights):
    np.testing.assert_array_equal(resample_weights(IDS[::-1], num_resamples=2000, seed=0)[:, ::-1], weights)
    assert (resample_weights(IDS[:1], num_resamples=2000, seed=1) != weights[:, :1]).any()


def test_counts_are_exact(weights):
    outcomes = np.random.default_rng(0).random((400, 3)) < 0.5
    np.testing.assert_array_equal(replicate_counts(weights, outcomes), weights @ outcomes.astype(int))


def test_the_interval_of_a_mean_is_the_multinomial_bootstraps(weights):
    rng = np.random.default_rng(0)
    outcomes = rng.random((400, 1)) < 0.7
    counts = replicate_counts(weights, np.concatenate([outcomes, np.ones_like(outcomes)], axis=1))
    interval = percentile_interval(counts[:, 0] / counts[:, 1])
    drawn = outcomes[rng.integers(0, 400, (2000, 400)), 0].mean(axis=1)
    np.testing.assert_allclose(interval, np.percentile(drawn, [2.5, 97.5]), atol=0.01)


@pytest.mark.parametrize(("confidence", "expected"), [(0.95, (25.0, 975.0)), (0.5, (250.0, 750.0))])
def test_a_percentile_interval_leaves_out_the_same_share_at_both_ends(confidence, expected):
    replicates = np.random.default_rng(0).permutation(1001).astype(float)
    assert percentile_interval(replicates, confidence=confidence) == pytest.approx(expected)

"""Thresholds: cuts, choice of the best, and their source."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lctr_jax.localization.maps import cut_of_tau, quantize_map, resize_map, tau_grid
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL, get_protocol
from lctr_jax.localization.threshold_rules import area_threshold, mass_threshold, otsu_threshold
from lctr_jax.localization.thresholds import Threshold, choose_threshold


@given(st.floats(0, 1, exclude_max=True))
def test_a_threshold_cuts_as_published(tau):
    levels = np.array([[0, 255]], np.uint8)
    assert Threshold(tau).cut == cut_of_tau(np.array([tau]))[0] == int(tau * np.max(levels))


@pytest.mark.parametrize("step", [0.01, 0.001])
def test_the_grid_is_wsolevals(step):
    np.testing.assert_array_equal(tau_grid(step), np.arange(0, 1, step))


def test_the_first_of_the_best_is_chosen():
    curve = np.zeros(256)
    curve[[51, 52, 200]] = 70.0
    threshold = choose_threshold(curve, source="held-out", chosen_on="val", step=0.01)
    assert threshold == Threshold(0.2, "held-out", "val")
    assert threshold.describe() == "held-out (val)"


def test_a_fixed_threshold_says_so():
    assert Threshold(0.09).describe() == "fixed"


@pytest.mark.parametrize("tau", [-0.1, 1.0, float("nan")])
def test_an_impossible_threshold_is_refused(tau):
    with pytest.raises(ValueError, match=r"threshold: got .*, expected a fraction"):
        Threshold(tau)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="protocol: got 'cub', expected 'lctr' or 'wsoleval'"):
        get_protocol("cub")


@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
@pytest.mark.parametrize(
    "score_map",
    [
        np.zeros((3, 3)),
        np.full((3, 3), 0.7),
        np.full((3, 3), np.nan),
        np.array([[0.0, np.inf], [1.0, 2.0]]),
        np.array([[-3e38, 3e38], [0.0, 0.0]]),
    ],
    ids=["zero", "constant", "nan", "inf", "overflow"],
)
def test_a_map_that_cannot_be_stretched_is_zero(protocol, score_map):
    frame = resize_map(score_map.astype(np.float32), protocol=protocol, image_size=16)
    assert frame.shape == (16, 16)
    assert not frame.any()


@pytest.mark.parametrize("protocol", [LCTR_PROTOCOL, WSOLEVAL_PROTOCOL])
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e30]))
def test_any_other_map_reaches_both_ends(protocol, seed, scale):
    score_map = np.random.default_rng(seed).standard_normal((5, 4)).astype(np.float32) * np.float32(scale)
    levels = quantize_map(resize_map(score_map, protocol=protocol, image_size=16))
    assert levels.min() == 0
    assert levels.max() == 255


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60))
def test_otsus_threshold_separates_two_classes_of_least_variance(values):
    levels = np.array([[0, 255, *values]], np.uint8)

    def variance(cut):
        parts = (levels[levels > cut], levels[levels <= cut])
        return sum(part.size * np.var(part.astype(float)) for part in parts)

    chosen = otsu_threshold(levels)
    assert chosen.source == "map"
    assert variance(chosen.cut) <= min(map(variance, range(255))) + 1e-6 * levels.size * 255**2


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.floats(0, 1))
def test_an_area_threshold_is_the_lowest_whose_foreground_is_no_larger(values, share):
    levels = np.array([[0, 255, *values]], np.uint8)
    cut = area_threshold(levels, share=share).cut
    assert (levels > cut).mean() <= share or cut == 254
    assert cut == 0 or (levels > cut - 1).mean() > share


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.floats(0, 1))
def test_a_mass_threshold_is_the_highest_whose_foreground_has_the_share_of_the_sum(values, share):
    levels = np.array([[0, 255, *values]], np.uint8)
    total = int(levels.sum())
    cut = mass_threshold(levels, share=share).cut
    assert levels[levels > cut].sum() >= share * total
    assert cut == 254 or levels[levels > cut + 1].sum() < share * total


def test_a_flat_map_has_no_foreground_by_any_rule():
    levels = np.zeros((4, 4), np.uint8)
    rules = (otsu_threshold, partial(area_threshold, share=0.3), partial(mass_threshold, share=0.5))
    for rule in rules:
        assert not (levels > rule(levels).cut).any()

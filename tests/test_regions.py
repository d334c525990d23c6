import numpy as np
import pytest

from lctr_jax.localization.maps import quantize_map, resize_map
from lctr_jax.localization.measurement import boxes_by_cut
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.regions import find_regions


@pytest.fixture
def levels():
    """A large region of 200 with a hole, a small one of 100."""
    levels = np.zeros((40, 60), np.uint8)
    levels[5:25, 10:40] = 200
    levels[10:15, 20:30] = 0
    levels[30:36, 50:58] = 100
    levels[6, 11] = 255
    return levels


def test_every_region_has_its_box_and_the_largest_comes_first(levels):
    large, small = find_regions(levels, cut=50)
    assert large.box_xyxy.tolist() == [10, 5, 40, 25]
    assert small.box_xyxy.tolist() == [50, 30, 58, 36]
    assert large.area == 29 * 19  # inside the contour, which runs through pixel centers
    assert find_regions(levels, cut=150) != []
    assert len(find_regions(levels, cut=150)) == 1


def test_strength_is_the_maps_mean_in_the_box(levels):
    large, small = find_regions(levels, cut=50)
    assert large.strength == pytest.approx((200 * (600 - 50) + 55) / 600 / 255)
    assert small.strength == pytest.approx(100 / 255)


def test_small_regions_can_be_left_out(levels):
    assert len(find_regions(levels, cut=50, min_area=0.01)) == 2  # 7 x 5 of 2,400 pixels
    assert len(find_regions(levels, cut=50, min_area=0.015)) == 1
    assert find_regions(levels, cut=50, min_area=0.5) == []


def test_the_outline_bounds_its_box(levels):
    for region in find_regions(levels, cut=50):
        low, high = region.outline.min(0) - 0.5, region.outline.max(0) + 0.5
        assert [*low, *high] == region.box_xyxy.tolist()


def test_a_flat_map_has_no_regions():
    assert find_regions(np.zeros((8, 8), np.uint8), cut=0) == []


@pytest.mark.parametrize("seed", range(8))
def test_the_first_region_is_the_protocols_box(seed):
    rng = np.random.default_rng(seed)
    score_map = rng.random((7, 7)) ** 3
    boxes = boxes_by_cut(score_map, protocol=LCTR_PROTOCOL, image_size=56)
    levels = quantize_map(resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=56))
    for cut in range(0, 255, 5):
        assert find_regions(levels, cut=cut)[0].box_xyxy.tolist() == boxes[cut].tolist(), cut

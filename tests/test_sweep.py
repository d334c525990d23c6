"""The one-pass sweep equals one OpenCV call per threshold, at every cut and for any map."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from naive_sweep import all_at, contours_at, iou_plus_one, largest_at

from lctr_jax.localization.maps import cut_of_tau, quantize_map, resize_map, tau_grid
from lctr_jax.localization.measurement import best_contour_iou, boxes_by_cut
from lctr_jax.localization.protocols import LCTR_PROTOCOL, WSOLEVAL_PROTOCOL
from lctr_jax.localization.sweep import all_rectangles, largest_rectangles

SMALL = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)


def smooth(seed, size, low_side, power):
    low = np.random.default_rng(seed).random((low_side, low_side), np.float32) ** power
    return quantize_map(resize_map(low, protocol=WSOLEVAL_PROTOCOL, image_size=size))


def noise(seed, height, width, num_levels):
    return np.random.default_rng(seed).integers(0, num_levels, (height, width)).astype(np.uint8)


sides = st.integers(1, 24)
noisy_maps = st.builds(noise, st.integers(0, 10**6), sides, sides, st.sampled_from([2, 3, 6, 256]))
"""Islands, holes, islands in holes."""
plateaus = arrays(np.uint8, SMALL, elements=st.sampled_from([0, 1, 100, 255]))
"""Few levels: ties of area, diagonal contacts, one-pixel bridges."""
smooth_maps = st.builds(
    smooth, st.integers(0, 10**6), st.integers(8, 48), st.integers(2, 9), st.sampled_from([1, 2, 8])
)
maps = st.one_of(noisy_maps, plateaus, smooth_maps)


def rectangles_at(contours, cut):
    there = (contours.first_cut <= cut) & (cut <= contours.last_cut)
    return set(map(tuple, contours.rectangles_xyxy[there].tolist()))


@settings(max_examples=150)
@given(maps)
def test_the_largest_contour_equals_the_naive_loop(levels):
    rectangles = largest_rectangles(levels)
    assert [tuple(row) for row in rectangles.tolist()] == [largest_at(levels, cut) for cut in range(256)]


@settings(max_examples=150)
@given(maps)
def test_all_contours_equal_the_naive_loop(levels):
    contours = all_rectangles(levels)
    for cut in range(256):
        assert rectangles_at(contours, cut) == all_at(levels, cut), cut


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_frame_at_every_threshold(seed):
    low = np.random.default_rng(seed).random((14, 14), np.float32) ** 2
    boxes = boxes_by_cut(low, protocol=LCTR_PROTOCOL, image_size=224)[cut_of_tau(tau_grid(0.001))]
    frame = cv2.resize(low, (224, 224))
    levels = ((frame - frame.min()) / (frame.max() - frame.min()) * 255).astype(np.uint8)
    naive = [largest_at(levels, int(tau * levels.max())) for tau in np.arange(0, 1, 0.001)]
    np.testing.assert_array_equal(boxes, naive)


@settings(max_examples=50)
@given(maps, st.integers(0, 2**32 - 1))
def test_the_best_contour_iou_equals_the_naive_loop(levels, seed):
    size = max(levels.shape)
    levels = np.pad(levels, [(0, size - side) for side in levels.shape])
    corners = np.random.default_rng(seed).integers(0, size, (3, 2, 2))
    truth = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float64)
    curve = best_contour_iou(levels, truth, image_size=size)
    for cut in range(256):
        boxes = [(x, y, min(r, size - 1), min(b, size - 1)) for x, y, r, b in all_at(levels, cut)]
        best = max(iou_plus_one(box, other) for box in boxes or [(0, 0, 0, 0)] for other in truth)
        assert curve[cut] == pytest.approx(best, abs=1e-12)


@settings(max_examples=100)
@given(maps)
def test_a_mirrored_map_has_mirrored_contours(levels):
    width = levels.shape[1]
    mirrored = all_rectangles(np.ascontiguousarray(levels[:, ::-1]))
    contours = all_rectangles(levels)
    for cut in range(0, 256, 15):
        flipped = {
            (width - right, y, width - x, bottom) for x, y, right, bottom in rectangles_at(contours, cut)
        }
        assert rectangles_at(mirrored, cut) == flipped


@settings(max_examples=100)
@given(maps)
def test_a_mirrored_map_has_the_mirrored_box(levels):
    width = levels.shape[1]
    box = largest_rectangles(levels)
    mirrored = largest_rectangles(np.ascontiguousarray(levels[:, ::-1]))
    for cut in range(0, 256, 15):
        areas = sorted(map(cv2.contourArea, contours_at(levels, cut)))
        if areas and areas.count(areas[-1]) == 1:  # raster order breaks ties, and it is mirrored too
            x, y, right, bottom = box[cut]
            assert tuple(mirrored[cut]) == (width - right, y, width - x, bottom)


def test_one_pixel():
    levels = np.zeros((5, 7), np.uint8)
    levels[2, 3] = 255
    np.testing.assert_array_equal(largest_rectangles(levels)[:255], np.tile([3, 2, 4, 3], (255, 1)))
    assert not largest_rectangles(levels)[255].any()


def test_the_full_frame():
    levels = np.full((4, 6), 9, np.uint8)
    np.testing.assert_array_equal(largest_rectangles(levels)[:9], np.tile([0, 0, 6, 4], (9, 1)))
    assert not largest_rectangles(levels)[9:].any()


def test_nothing_at_all():
    levels = np.zeros((4, 6), np.uint8)
    assert not largest_rectangles(levels).any()
    assert len(all_rectangles(levels).rectangles_xyxy) == 0


def test_of_equal_contours_opencv_names_the_lower_first():
    levels = np.zeros((9, 9), np.uint8)
    levels[1:3, 1:3] = levels[6:8, 5:7] = 200
    np.testing.assert_array_equal(largest_rectangles(levels)[0], [5, 6, 7, 8])


def test_a_ring_beats_the_island_in_it():
    levels = np.zeros((9, 9), np.uint8)
    levels[1:8, 1:8] = 200
    levels[2:7, 2:7] = 0
    levels[3:6, 3:6] = 255
    np.testing.assert_array_equal(largest_rectangles(levels)[100], [1, 1, 8, 8])
    assert rectangles_at(all_rectangles(levels), 100) == {(1, 1, 8, 8), (3, 3, 6, 6)}

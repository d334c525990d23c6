import numpy as np
import pytest

from lctr_jax.report.overlay import color_map, draw_boxes, draw_map

GRAY = np.full((32, 48, 3), 100, np.uint8)


def peak(row, column):
    score_map = np.zeros((4, 6), np.float32)
    score_map[row, column] = 1
    return score_map


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
def test_a_map_that_says_nothing_leaves_the_image_alone(value):
    score_map = np.full((4, 6), value, np.float32)
    np.testing.assert_array_equal(draw_map(GRAY, score_map), GRAY)


def test_one_bad_value_does_not_spoil_the_picture():
    score_map = peak(1, 1)
    score_map[0, 0] = np.nan
    np.testing.assert_array_equal(draw_map(GRAY, score_map), GRAY)


def test_the_map_lies_where_its_patch_does():
    drawn = draw_map(GRAY, peak(1, 4)).astype(int)
    changed = np.argwhere(np.abs(drawn - 100).sum(-1) > 60)
    np.testing.assert_allclose(changed.mean(0), [8 + 3.5, 32 + 3.5], atol=0.6)  # patches are 8 x 8 pixels
    red, green, blue = drawn[12, 36]
    assert red > 100 > max(green, blue)


def test_the_scale_of_a_map_does_not_matter():
    np.testing.assert_array_equal(
        color_map(peak(2, 2), width=48, height=32), color_map(7 * peak(2, 2) - 3, width=48, height=32)
    )


def test_a_box_is_drawn_on_its_outermost_pixels():
    drawn = draw_boxes(GRAY, np.array([[10.0, 5.0, 30.0, 25.0]]), (255, 0, 0), thickness=1)
    red = np.argwhere((drawn == (255, 0, 0)).all(-1))
    assert red.min(0).tolist() == [5, 10]
    assert red.max(0).tolist() == [24, 29]
    assert (GRAY == 100).all()
    assert drawn[15, 20].tolist() == [100, 100, 100]


def test_boxes_beyond_the_image_are_no_fault():
    assert draw_boxes(GRAY, np.array([[-10.0, -10.0, 100.0, 100.0]]), (255, 0, 0)).shape == GRAY.shape

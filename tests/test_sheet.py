import numpy as np
import pytest
from fake_results import make_results, make_settings
from PIL import Image

from lctr_jax.report.sheet import Sheet

SETTINGS = make_settings()


@pytest.mark.parametrize(("total", "count", "rows"), [(9, 32, 3), (40, 8, 2), (1, 4, 1)])
def test_entries_are_four_a_row(total, count, rows, tmp_path):
    sheet = Sheet(total, count=count, class_names=["a", "b", "c"])
    for result in make_results(total, SETTINGS):
        sheet.add(result)
    sheet.write(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (8 + 4 * 328, 28 + rows * 188)
        pixels = np.asarray(picture)
    assert np.ptp(pixels[28:208, 8:328]) > 100  # the first entry is there


def test_nothing_seen_is_nothing_written(tmp_path):
    Sheet(4, count=4, class_names=["a"]).write(tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


def test_a_predicted_class_beyond_the_names_is_a_number(tmp_path):
    sheet = Sheet(3, count=3, class_names=["a"])
    for result in make_results(3, SETTINGS):
        sheet.add(result)
    sheet.write(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000

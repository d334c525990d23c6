import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lctr_jax.data.digits import builder, drawing

ROOT = Path(__file__).parent.parent
RASTERS, LABELS = load_digits(return_X_y=True)
PLAIN = dataclasses.replace(drawing.SCENES, texture=0.0, grain=0.0, tint=0.0, num_scribbles=(0, 0))

PREPARE_SMALL = """
import dataclasses, hashlib, sys
from lctr_jax.data.digits import drawing
drawing.STYLES = {k: dataclasses.replace(s, num_examples=(30, 10, 10)) for k, s in drawing.STYLES.items()}
from lctr_jax.data import datasets
digest = hashlib.sha256()
for name in ("digits", "digits/clean"):
    for part, size in (("train", 30), ("val", 10), ("test", 10)):
        split = datasets.open_split(name, part, data_dir=sys.argv[1])
        assert (len(split), split.has_boxes, split.has_masks) == (size, True, True)
        assert split.class_names == list("0123456789")
        digest.update(repr([split[i] for i in range(size)]).encode())
assert "tensorflow" not in sys.modules
print(digest.hexdigest())
"""


def glyph(index):
    return drawing.enlarge(RASTERS[index].reshape(8, 8) / 16.0)


def draw(index, scene, seed):
    return drawing.draw(glyph(index), scene, np.random.default_rng(seed))


@pytest.mark.slow
def test_prepares_without_tensorflow_and_the_same_in_every_process(tmp_path):
    """Two processes, two folders, two hash seeds: the same bytes in every record."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", PREPARE_SMALL, str(tmp_path / seed)],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_splits_share_no_source_digit_and_keep_the_classes_balanced():
    dealt = builder.source_digits(np.asarray(LABELS))
    everything = np.concatenate(list(dealt.values()))
    assert sorted(everything) == list(range(len(LABELS)))
    for split, share in (("train", 0.60), ("val", 0.15), ("test", 0.25)):
        counts = np.bincount(LABELS[dealt[split]], minlength=10)
        np.testing.assert_allclose(counts, share * np.bincount(LABELS), atol=1.5)


@pytest.mark.parametrize("index", range(0, 60, 4))
def test_box_surrounds_the_digits_own_pixels(index):
    """On a plain background, only the digit's ink differs from the background."""
    picture = draw(index, PLAIN, index)
    brightness = picture.image[..., 0].astype(float)
    ground, ink = np.median(brightness), brightness.max()
    ys, xs = np.nonzero(brightness - ground >= 0.4 * (ink - ground))
    seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    np.testing.assert_allclose(drawing.tight_box(picture.mask), seen, atol=1)


def test_box_is_the_masks_extent_with_open_ends():
    mask = np.zeros((9, 12), np.uint8)
    mask[3:7, 5:6] = 1
    np.testing.assert_array_equal(drawing.tight_box(mask), [5, 3, 6, 7])


@pytest.mark.parametrize("style", drawing.STYLES)
def test_digits_stay_inside_the_frame(style):
    scene = drawing.STYLES[style]
    for seed in range(20):
        x0, y0, x1, y1 = drawing.tight_box(draw(seed, scene, seed).mask)
        assert 0 <= x0 < x1 <= scene.image_size
        assert y1 - y0 >= 0.75 * scene.digit_height[0] * scene.image_size


def test_scribbles_are_as_large_as_digits_and_carry_as_much_ink():
    """Otherwise the largest or brightest object would reveal the digit."""
    rng = np.random.default_rng(0)
    digits = [glyph(index) for index in range(200)]
    scribbles = [drawing.scribble(rng) for _ in range(200)]
    for measure in (lambda g: g.sum(), lambda g: np.ptp(np.nonzero(g > 0.4)[0])):
        ratio = np.mean([measure(g) for g in scribbles]) / np.mean([measure(g) for g in digits])
        assert 0.75 < ratio < 1.34


def test_nothing_covers_the_digit():
    """The digit has one color, independent of its surroundings."""
    scene = dataclasses.replace(drawing.SCENES, num_scribbles=(3, 3), grain=0.0)
    for seed in range(10):
        picture = draw(5, scene, seed)
        solid = picture.image[picture.mask.astype(bool)].astype(float)
        middle = np.median(solid, axis=0)
        assert (np.abs(solid - middle).max(axis=1) < 20).mean() > 0.5


def test_a_changed_scene_has_another_name(monkeypatch):
    before = builder.DigitsConfig(style="scenes").name
    monkeypatch.setitem(drawing.STYLES, "scenes", dataclasses.replace(drawing.SCENES, texture=1.0))
    after = builder.DigitsConfig(style="scenes").name
    assert before.startswith("scenes-")
    assert before != after


def test_pictures_differ_from_one_another():
    digests = {
        hashlib.sha256(draw(0, drawing.SCENES, [0, seed]).image.tobytes()).hexdigest() for seed in range(20)
    }
    assert len(digests) == 20

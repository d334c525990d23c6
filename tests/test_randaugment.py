"""RandAugment's operations compared with NumPy, PIL and timm, and its draws with their distribution."""

from collections import Counter

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageFilter

from benchmarks import pil_recipe
from lctr_jax.data import randaugment
from lctr_jax.data.randaugment import FILL, OPERATIONS, OperationArguments, draw_operations

RNG = np.random.default_rng(0)
IMAGE = Image.fromarray(RNG.normal(128, 40, (48, 64, 3)).clip(0, 255).astype(np.uint8))
PIXELS = np.asarray(IMAGE, np.float64)
GRAY = np.asarray(IMAGE.convert("L"), np.float64)
STRENGTHS = [0.0, 0.3, 0.5, 0.9, 1.0]


def apply(operation, image=IMAGE, **arguments) -> np.ndarray:
    return operation(np.asarray(image), OperationArguments(**arguments)).astype(np.float64)


def test_invert():
    np.testing.assert_array_equal(apply(randaugment.invert, strength=0.9), 255 - PIXELS)


@pytest.mark.parametrize(
    ("strength", "mask"), [(0.0, 0xF0), (0.24, 0xF0), (0.25, 0xE0), (0.9, 0x80), (1.0, 0x00)]
)
def test_posterize_keeps_the_highest_bits(strength, mask):
    expected = PIXELS.astype(int) & mask
    np.testing.assert_array_equal(apply(randaugment.posterize, strength=strength), expected)


@pytest.mark.parametrize(("strength", "threshold"), [(0.0, 256), (0.5, 128), (0.9, 26), (1.0, 0)])
def test_solarize_inverts_the_bright(strength, threshold):
    expected = np.where(np.less(PIXELS, threshold), PIXELS, 255 - PIXELS)
    np.testing.assert_array_equal(apply(randaugment.solarize, strength=strength), expected)


@pytest.mark.parametrize(("strength", "amount"), [(0.0, 0), (0.5, 55), (0.9, 99), (1.0, 110)])
def test_solarize_add_lifts_the_dark(strength, amount):
    expected = np.where(PIXELS < 128, np.minimum(255, PIXELS + amount), PIXELS)
    np.testing.assert_array_equal(apply(randaugment.solarize_add, strength=strength), expected)


def test_auto_contrast_stretches_every_channel():
    low, high = PIXELS.min((0, 1)), PIXELS.max((0, 1))
    dull = Image.fromarray((40 + (PIXELS - low) / (high - low) * 100).astype(np.uint8))
    stretched = apply(randaugment.auto_contrast, image=dull, strength=0.9)
    source = np.asarray(dull, np.float64)
    low, high = source.min((0, 1)), source.max((0, 1))
    np.testing.assert_allclose(stretched, (source - low) / (high - low) * 255, atol=1)


def test_equalize_flattens_every_histogram():
    flat = apply(randaugment.equalize, strength=0.9)
    for channel in range(3):
        order = np.argsort(PIXELS[..., channel], axis=None, kind="stable")
        assert (np.diff(flat[..., channel].ravel()[order]) >= 0).all()  # the order of the values is kept
        shares = np.histogram(flat[..., channel], bins=8, range=(0, 256))[0] / flat[..., channel].size
        assert np.abs(shares - 1 / 8).max() < 0.03


def blend(degenerate: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(degenerate + factor * (PIXELS - degenerate), 0, 255)


SMOOTH = np.asarray(IMAGE.filter(ImageFilter.SMOOTH), np.float64)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(
    ("operation", "degenerate"),
    [
        (randaugment.color, np.repeat(GRAY[..., None], 3, axis=2)),
        (randaugment.contrast, np.full_like(PIXELS, int(GRAY.mean() + 0.5))),
        (randaugment.brightness, np.zeros_like(PIXELS)),
        (randaugment.sharpness, SMOOTH),
    ],
    ids=["color", "contrast", "brightness", "sharpness"],
)
def test_enhancements_blend_with_their_degenerate_image(operation, degenerate, strength, sign):
    expected = blend(degenerate, 1 + sign * 0.9 * strength)
    np.testing.assert_allclose(apply(operation, strength=strength, sign=sign), expected, atol=1)


# A plane: any interpolation that is exact on planes shows where a pixel came from.
ROWS, COLUMNS = np.mgrid[:48, :64].astype(np.float64)
PLANE = np.stack([3 * COLUMNS + 20, 4 * ROWS + 20, COLUMNS + 2 * ROWS + 20], axis=-1)


def plane_at(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.stack([3 * columns + 20, 4 * rows + 20, columns + 2 * rows + 20], axis=-1)


def source_of_rotation(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Counter-clockwise by `degrees` about the center: each output pixel looks back clockwise."""
    angle = np.deg2rad(degrees)
    x, y = COLUMNS - 31.5, ROWS - 23.5
    return np.cos(angle) * x - np.sin(angle) * y + 31.5, np.sin(angle) * x + np.cos(angle) * y + 23.5


@pytest.mark.parametrize("resample", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(
    ("operation", "source"),
    [
        (randaugment.rotate, lambda s: source_of_rotation(30 * s)),
        (randaugment.shear_x, lambda s: (COLUMNS + 0.3 * s * (ROWS + 0.5), ROWS)),
        (randaugment.shear_y, lambda s: (COLUMNS, ROWS + 0.3 * s * (COLUMNS + 0.5))),
        (randaugment.translate_x, lambda s: (COLUMNS + 0.45 * 64 * s, ROWS)),
        (randaugment.translate_y, lambda s: (COLUMNS, ROWS + 0.45 * 48 * s)),
    ],
    ids=["rotate", "shear_x", "shear_y", "translate_x", "translate_y"],
)
def test_geometric_operations_look_where_they_should(operation, source, strength, sign, resample):
    plane = Image.fromarray(PLANE.astype(np.uint8))
    moved = apply(operation, image=plane, strength=strength, sign=sign, resample=resample)
    columns, rows = source(sign * strength)
    inside = (columns > 2) & (columns < 61) & (rows > 2) & (rows < 45)
    outside = (columns < -1) | (columns > 64) | (rows < -1) | (rows > 48)
    assert inside.any()
    # PIL truncates, and its bicubic kernel (a = -1) misses a plane by up to a tenth of a pixel.
    tolerance = 1.01 if resample == Image.Resampling.BILINEAR else 1.5
    np.testing.assert_allclose(moved[inside], plane_at(columns, rows)[inside], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(moved[outside], np.broadcast_to(FILL, moved[outside].shape))


def flower(width: int, height: int) -> Image.Image:
    photograph = Image.fromarray(sklearn.datasets.load_sample_image("flower.jpg"))
    return photograph.resize((width, height))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_every_operation_gives_pils_pixels(operation):
    flat = Image.new("RGB", (20, 20), (0, 200, 255))
    for image in (IMAGE, flower(224, 224), flower(61, 90), flat):
        for strength, sign in ((0.0, 1), (0.317, -1), (0.9, 1), (0.912345, -1), (0.99, 1)):
            for resample in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR):
                arguments = OperationArguments(strength, sign, resample)
                theirs = pil_recipe.apply(operation, image, arguments)
                np.testing.assert_array_equal(operation(np.asarray(image), arguments), np.asarray(theirs))


def test_draws_are_uniform_over_the_operations_with_replacement():
    rng = np.random.default_rng(0)
    draws = [draw_operations(rng, layers=2, magnitude=9.0, magnitude_std=0.5) for _ in range(6000)]
    lengths = Counter(len(drawn) for drawn in draws)
    for length, share in enumerate([0.25, 0.5, 0.25]):
        assert abs(lengths[length] / 6000 - share) < 0.025
    counts = Counter(operation for drawn in draws for operation, _ in drawn)
    assert set(counts) == set(OPERATIONS)
    assert len(OPERATIONS) == 15
    expected = counts.total() / 15
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 36.1  # 14 degrees of freedom, 1 in 1000 by chance
    doubles = sum(drawn[0][0] is drawn[1][0] for drawn in draws if len(drawn) == 2)
    assert abs(doubles / lengths[2] - 1 / 15) < 0.025


def test_magnitudes_are_normal_and_clipped_and_signs_even():
    rng = np.random.default_rng(0)
    all_arguments = [
        arguments
        for _ in range(5000)
        for _, arguments in draw_operations(rng, layers=2, magnitude=9.0, magnitude_std=0.5)
    ]
    strengths = np.array([arguments.strength for arguments in all_arguments])
    assert strengths.max() == 1.0
    assert abs((strengths == 1.0).mean() - 0.0228) < 0.01  # two standard deviations above the mean
    inner = strengths[strengths < 1.0] * 10
    # Normal(9, 0.5) cut off at 10: mean and deviation of the rest.
    assert abs(inner.mean() - 8.972) < 0.025
    assert abs(inner.std() - 0.470) < 0.02
    assert abs(np.mean([arguments.sign for arguments in all_arguments])) < 0.05


def test_no_layers_draw_nothing_and_low_magnitudes_clip_at_zero():
    rng = np.random.default_rng(0)
    assert draw_operations(rng, layers=0, magnitude=9.0, magnitude_std=0.5) == []
    all_arguments = draw_operations(rng, layers=200, magnitude=0.0, magnitude_std=1.0)
    strengths = [arguments.strength for _, arguments in all_arguments]
    assert min(strengths) == 0.0
    assert max(strengths) > 0.0


TIMM_NAMES = {
    "AutoContrast": randaugment.auto_contrast,
    "Equalize": randaugment.equalize,
    "Invert": randaugment.invert,
    "Rotate": randaugment.rotate,
    "PosterizeIncreasing": randaugment.posterize,
    "SolarizeIncreasing": randaugment.solarize,
    "SolarizeAdd": randaugment.solarize_add,
    "ColorIncreasing": randaugment.color,
    "ContrastIncreasing": randaugment.contrast,
    "BrightnessIncreasing": randaugment.brightness,
    "SharpnessIncreasing": randaugment.sharpness,
    "ShearX": randaugment.shear_x,
    "ShearY": randaugment.shear_y,
    "TranslateXRel": randaugment.translate_x,
    "TranslateYRel": randaugment.translate_y,
}


@pytest.mark.parametrize("magnitude", [0.0, 5.3, 8.9, 9.7])
@pytest.mark.parametrize("name", list(TIMM_NAMES))
def test_every_operation_gives_timms_pixels(name, magnitude):
    auto_augment = pytest.importorskip("timm.data.auto_augment")
    hparams = {"img_mean": FILL, "interpolation": Image.Resampling.BICUBIC, "magnitude_std": 0.0}
    operation = auto_augment.AugmentOp(name, prob=1.0, magnitude=magnitude, hparams=hparams)
    theirs = {np.asarray(operation(IMAGE)).tobytes() for _ in range(20)}  # either sign
    ours = {
        TIMM_NAMES[name](np.asarray(IMAGE), OperationArguments(magnitude / 10, sign)).tobytes()
        for sign in (-1, 1)
    }
    assert theirs == ours

"""Draw one `digits` picture: a handwritten digit on a textured ground, among scribbles that are no digits.

Scribbles come in the digits' own sizes, angles, places, colors and brightness. They differ in how they are
drawn alone, so nothing but learning the digits tells which bright thing to box.
"""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_GLYPH = 64  # side of an enlarged glyph, pixels
_KNOTS, _PEN, _MARGIN = 12, 3, 5  # of a scribble: points on its way, line width and free border, pixels
_INK = 0.4  # a pixel belongs to a glyph when ink covers at least this share of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """How hard the pictures are; ranges are (low, high). Changing any field makes another dataset on disk."""

    image_size: int = 64
    digit_height: tuple[float, float]  # of the digit's 8x8 raster, as a share of the image side
    max_angle: float  # degrees, either way
    num_scribbles: tuple[int, int]  # both ends included
    center_jitter: float  # 0: the digit sits in the middle; 1: anywhere inside the frame
    ink: tuple[float, float] = (170.0, 255.0)  # brightness of digits and scribbles
    ground: tuple[float, float] = (10.0, 60.0)  # brightness of the background
    tint: float = 20.0  # how far each color channel may stray from the brightness
    texture: float = 12.0  # standard deviation of the background's smooth noise
    grain: float = 4.0  # standard deviation of the per-pixel noise
    jpeg_quality: int = 95
    num_examples: tuple[int, int, int] = (24_000, 500, 1_000)  # train, val, test


CLEAN = Scene(digit_height=(0.42, 0.58), max_angle=12.0, num_scribbles=(0, 0), center_jitter=1.0)
SCENES = Scene(digit_height=(0.42, 0.58), max_angle=12.0, num_scribbles=(1, 2), center_jitter=1.0)
STYLES = {"scenes": SCENES, "clean": CLEAN}


@dataclasses.dataclass(frozen=True)
class MaskedImage:
    """An image, and the mask of its digit (0 or 1)."""

    image: UInt8[np.ndarray, "size size 3"]
    mask: UInt8[np.ndarray, "size size"]


def enlarge(raster: Float[np.ndarray, "8 8"]) -> Float[np.ndarray, "64 64"]:
    """Enlarge an 8x8 raster in [0, 1] smoothly, and clear its faint rim."""
    smooth = cv2.resize(raster.astype(np.float32), (_GLYPH, _GLYPH), interpolation=cv2.INTER_CUBIC)
    return np.clip((smooth - 0.2) / 0.6, 0.0, 1.0)


def scribble(rng: np.random.Generator) -> Float[np.ndarray, "64 64"]:
    """Draw a tangle: one pen line through random points, looping back over itself."""
    points = rng.uniform(_MARGIN, _GLYPH - _MARGIN, (_KNOTS, 2))
    canvas = np.zeros((_GLYPH, _GLYPH), np.uint8)
    path = np.round(_spline(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [path], False, 255, thickness=_PEN, lineType=cv2.LINE_AA, shift=4)
    return canvas / np.float32(255)


def draw(digit: Float[np.ndarray, "64 64"], scene: Scene, rng: np.random.Generator) -> MaskedImage:
    """Place an enlarged digit and the scene's scribbles; every random choice comes from `rng`."""
    image = _ground(scene, rng)
    spots = [_Spot.draw(scene, rng, others=[])]
    for _ in range(rng.integers(scene.num_scribbles[0], scene.num_scribbles[1] + 1)):
        spots.append(_Spot.draw(scene, rng, others=spots))
        _paint(image, spots[-1].place(scribble(rng), scene), scene, rng)
    cover = spots[0].place(digit, scene)
    _paint(image, cover, scene, rng)  # last, so that nothing hides the digit
    image += np.float32(scene.grain) * rng.standard_normal((*image.shape[:2], 1), np.float32)
    return MaskedImage(np.clip(image, 0, 255).astype(np.uint8), (cover >= _INK).astype(np.uint8))


def tight_box(mask: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, " 4"]:
    """Return [x0, y0, x1, y1] around a mask's non-zero pixels, the far ends open (last pixel + 1)."""
    x, y, width, height = cv2.boundingRect(mask)
    return np.array([x, y, x + width, y + height], np.float32)


@dataclasses.dataclass(frozen=True)
class _Spot:
    """Where a glyph goes: its center as an offset from the image's, its raster's height, its angle."""

    offset: Float[np.ndarray, " 2"]
    height: float
    angle: float

    @classmethod
    def draw(cls, scene: Scene, rng: np.random.Generator, *, others: list["_Spot"]) -> "_Spot":
        """Draw a spot inside the frame: of 24 the first that is clear of the others, else the clearest."""
        height = rng.uniform(*scene.digit_height) * scene.image_size
        free = max(scene.image_size - height, 0.0) / 2 * scene.center_jitter
        offsets = rng.uniform(-free, free, (24, 2))
        clear = np.full(24, np.inf)
        for other in others:
            apart = np.hypot(*(offsets - other.offset).T)
            clear = np.minimum(clear, apart - (height + other.height) / 2)
        best = np.argmax(clear >= 0.0) if (clear >= 0.0).any() else np.argmax(clear)
        return cls(offsets[best], height, rng.uniform(-scene.max_angle, scene.max_angle))

    def place(self, glyph: Float[np.ndarray, "64 64"], scene: Scene) -> Float[np.ndarray, "size size"]:
        """Return how much of a glyph's ink lies on each pixel of the image."""
        move = cv2.getRotationMatrix2D((_GLYPH / 2, _GLYPH / 2), self.angle, self.height / _GLYPH)
        move[:, 2] += scene.image_size / 2 - _GLYPH / 2 + self.offset
        return cv2.warpAffine(glyph, move, (scene.image_size, scene.image_size), flags=cv2.INTER_LINEAR)


_STEPS = np.linspace(0.0, 1.0, 12)[:, None, None]


def _spline(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Join points by a Catmull-Rom curve."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = _STEPS
    a, b, c, d = (padded[i : len(points) - 1 + i] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.swapaxes(0, 1).reshape(-1, 2)


def _ground(scene: Scene, rng: np.random.Generator) -> Float[np.ndarray, "size size 3"]:
    """Draw smooth colored noise of three scales."""
    texture = np.zeros((1, 1, 3), np.float32)
    for cells in (4, 9, 20):
        coarser = cv2.resize(texture, (cells, cells), interpolation=cv2.INTER_CUBIC)
        texture = coarser + rng.standard_normal((cells, cells, 3), np.float32)
    texture = cv2.resize(texture, (scene.image_size, scene.image_size), interpolation=cv2.INTER_CUBIC)
    return _color(scene.ground, scene, rng) + np.float32(scene.texture / 3**0.5) * texture


def _color(
    brightness: tuple[float, float], scene: Scene, rng: np.random.Generator
) -> Float[np.ndarray, " 3"]:
    return (rng.uniform(*brightness) + rng.uniform(-scene.tint, scene.tint, 3)).astype(np.float32)


def _paint(
    image: Float[np.ndarray, "size size 3"],
    cover: Float[np.ndarray, "size size"],
    scene: Scene,
    rng: np.random.Generator,
) -> None:
    """Blend a random ink into the image, in place, where `cover` (0..1) says."""
    x, y, width, height = cv2.boundingRect((cover > 0).astype(np.uint8))
    part = np.s_[y : y + height, x : x + width]
    image[part] += cover[part][..., None] * (_color(scene.ink, scene, rng) - image[part])

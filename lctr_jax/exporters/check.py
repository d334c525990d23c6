"""Comparison of an exported file with its network."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from lctr_jax.exporters.program import LOGITS, MAP, SCORE_MAP, InputType, Outputs, Program
from lctr_jax.localization.maps import resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.models.execution import matmul_precision
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec

TOLERANCE = 1e-4
"""Largest accepted error. Boxes are made from 256 gray levels, which are 4e-3 apart."""

BATCHES = (1, 3)


def largest_errors(
    run: Program, spec: ModelSpec, parameters: Parameters, *, input_type: InputType
) -> dict[str, float]:
    """Return each output's largest error over batches of `BATCHES` images.

    Relative to the output's largest magnitude (1 for the score map); NaN if an output contains NaN.
    """
    pixels = _test_images(sum(BATCHES), side=spec.image_size)
    images = pixels if input_type == "uint8" else np.asarray(normalize(jnp.asarray(pixels)))
    parts = [run(part) for part in np.split(images, np.cumsum(BATCHES)[:-1])]
    return {
        name: _relative_error(np.concatenate([np.asarray(part[name]) for part in parts]), expected)
        for name, expected in _expected(spec, parameters, pixels).items()
    }


def require_agreement(errors: dict[str, float], *, tolerance: float = TOLERANCE) -> None:
    """Refuse a file that computes something else.

    Raises:
        ValueError: an error exceeds the tolerance or is NaN.
    """
    wrong = [f"{name} by {error:.1e}" for name, error in errors.items() if not error <= tolerance]
    if wrong:
        raise ValueError(
            f"exported file: differs from the network in {', '.join(wrong)}, "
            f"expected at most {tolerance:.0e}; nothing was written"
        )


def _expected(spec: ModelSpec, parameters: Parameters, pixels: np.ndarray) -> Outputs:
    """Compute the outputs as evaluation does: the network's maps, their product, resized by OpenCV."""
    with matmul_precision(spec):
        forward = jax.jit(lambda parameters, images: bind(spec, parameters)(images))
        output = jax.device_get(forward(parameters, normalize(jnp.asarray(pixels))))
    maps = np.asarray(output.localization_map)
    score_maps = [
        resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=spec.image_size) for score_map in maps
    ]
    return {LOGITS: output.logits, MAP: maps, SCORE_MAP: np.stack(score_maps)}


def _relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    scale = np.abs(expected).max()
    return float(np.abs(got - expected).max() / (scale if scale > 0 else 1))


def _test_images(count: int, *, side: int) -> UInt8[np.ndarray, "count side side 3"]:
    """Return smooth random images, to which a network attends more selectively than to noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in coarse])

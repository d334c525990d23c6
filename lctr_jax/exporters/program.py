"""The exported program: a function of images that includes the parameters."""

from collections.abc import Callable
from typing import Any, Literal

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.models.execution import matmul_precision
from lctr_jax.models.normalization import MEAN, STD, normalize
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec

InputType = Literal["uint8", "float32"]
Outputs = dict[str, Any]  # arrays by the names below
Program = Callable[[Any], Outputs]

INPUT = "images"
LOGITS, MAP, SCORE_MAP = "logits", "localization_map", "score_map"
OUTPUT_NAMES = (LOGITS, MAP, SCORE_MAP)

LARGEST_FILE = 2**31 - 2**20  # both formats use 31-bit sizes; 1 MiB is reserved for all but the weights


def make_program(spec: ModelSpec, parameters: Parameters) -> Program:
    """Return a function from images [batch, side, side, 3] to outputs by name.

    Images are RGB, uint8 in 0..255 or floats normalized by `MEAN` and `STD`. The outputs are `logits` [batch,
    classes]; `localization_map` [batch, grid_h, grid_w], relation map times class map of the predicted class;
    and `score_map` [batch, side, side], the same map resized bilinearly and scaled to [0, 1], to which
    thresholds apply. A map that is flat or not finite gives zeros.

    Raises:
        ValueError: the parameters exceed the size of a file.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(parameters)) * 4
    if size > LARGEST_FILE:
        raise ValueError(
            f"network: got {size / 2**30:.1f} GiB of parameters, expected less than 2 GiB, "
            "the limit of both file formats"
        )
    parameters = jax.tree.map(jnp.asarray, parameters)  # NumPy arrays cannot be indexed by traced values
    to_height, to_width = (_enlargement(side, spec.image_size) for side in spec.grid)

    def program(images: Array) -> Outputs:
        with matmul_precision(spec):
            normalized = normalize(images) if images.dtype == jnp.uint8 else images
            output = bind(spec, parameters)(normalized)
            maps = jnp.asarray(output.localization_map)
            enlarged = jnp.einsum("yh,bhw,xw->byx", to_height, maps, to_width)
        return {LOGITS: output.logits, MAP: maps, SCORE_MAP: _stretch(enlarged, flat=_span(maps) == 0)}

    return program


def describe_program(metadata: Metadata, *, input_type: InputType) -> dict[str, Any]:
    """Return the metadata needed to use the file, in JSON-compatible types."""
    side = metadata.spec.image_size
    takes = {
        "uint8": "RGB in 0..255",
        "float32": "RGB in 0..1, normalized: (image - mean) / std",
    }
    return {
        "class_names": None if metadata.class_names is None else list(metadata.class_names),
        "method": metadata.spec.method,
        "image_size": side,
        "input": f"{input_type} [batch, {side}, {side}, 3], {takes[input_type]}",
        "mean": np.round(MEAN.astype(float), 6).tolist(),
        "std": np.round(STD.astype(float), 6).tolist(),
        "outputs": list(OUTPUT_NAMES),
        "source": metadata.source,
        "versions": dict(metadata.versions),
    }


def _enlargement(length: int, to_length: int) -> Float32[np.ndarray, "to_length length"]:
    """Return OpenCV's bilinear weights as a matrix, so that every format resizes like OpenCV."""
    identity = np.eye(length, dtype=np.float32)
    return cv2.resize(identity, (length, to_length), interpolation=cv2.INTER_LINEAR)


def _stretch(maps: Float[Array, "batch height width"], *, flat: Array) -> Float[Array, "batch height width"]:
    span = _span(maps)
    usable = jnp.isfinite(span) & (span > 0) & ~flat
    stretched = (maps - maps.min((1, 2), keepdims=True)) / jnp.where(usable, span, 1)
    return jnp.where(usable, stretched, 0)


def _span(maps: Float[Array, "batch height width"]) -> Float[Array, "batch 1 1"]:
    return maps.max((1, 2), keepdims=True) - maps.min((1, 2), keepdims=True)

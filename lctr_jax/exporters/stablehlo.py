"""The program in StableHLO, as `jax.export` keeps it."""

from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lctr_jax.exporters.program import InputType, Program

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(program: Program, *, side: int, input_type: InputType) -> bytes:
    """The program lowered for `PLATFORMS`, for any number of images."""
    (batch,) = jax.export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, side, side, 3), jnp.dtype(input_type))
    return bytes(jax.export.export(jax.jit(program), platforms=PLATFORMS)(images).serialize())


def open_stablehlo(content: bytes) -> Program:
    """The file's content as a function of images, to be run on this machine's own device."""
    exported: Any = jax.export.deserialize(bytearray(content))  # its `call` is annotated for one array
    return exported.call

"""Export to StableHLO through `jax.export`."""

from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lctr_jax.exporters.program import InputType, Program

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(program: Program, *, side: int, input_type: InputType) -> bytes:
    """Lower the program for `PLATFORMS` and any batch size, and serialize it."""
    (batch,) = jax.export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, side, side, 3), jnp.dtype(input_type))
    return bytes(jax.export.export(jax.jit(program), platforms=PLATFORMS)(images).serialize())


def open_stablehlo(content: bytes) -> Program:
    """Open a file's content as a function of images, run on this machine's default device."""
    exported: Any = jax.export.deserialize(bytearray(content))  # its `call` is annotated for a single array
    return exported.call

"""Export to ONNX through jax2onnx."""

import json
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lctr_jax.exporters.program import INPUT, OUTPUT_NAMES, InputType, Program

OPSET = 20  # the oldest with GELU; supported by runtimes since early 2024
INSTALL = (
    "pip install -e '.[export]' && pip install --no-deps 'jax2onnx>=0.17.1,<0.18' "
    "(docs/export.md explains why separately)"
)


def require_onnx() -> None:
    """Check that all packages are installed, before any work is done.

    Raises:
        ModuleNotFoundError: a package is missing.
    """
    try:
        import jax2onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"ONNX needs {error.name}: {INSTALL}") from error


def export_onnx(program: Program, facts: Mapping[str, Any], *, side: int, input_type: InputType) -> bytes:
    """Return the content of an ONNX file for any batch size; `facts` become its metadata."""
    import jax2onnx
    import onnx_ir
    from onnx_ir.passes import common

    (batch,) = jax.export.symbolic_shape("batch")
    with (
        warnings.catch_warnings(),
        jax.numpy_dtype_promotion("standard"),  # jax2onnx's versions of layers rely on implicit promotion
        jax.numpy_rank_promotion("allow"),
    ):
        # jax2onnx requests float64 constants while tracing; the exported ones are float32.
        warnings.filterwarnings("ignore", "Explicitly requested dtype float64", UserWarning)
        model = jax2onnx.to_onnx(
            lambda images: tuple(map(program(images).__getitem__, OUTPUT_NAMES)),
            [jax.ShapeDtypeStruct((batch, side, side, 3), jnp.dtype(input_type))],
            model_name="lctr_jax",
            opset=OPSET,
            return_mode="ir",
            input_names=[INPUT],
            output_names=OUTPUT_NAMES,
        )
    # jax2onnx leaves unused constants, for each of which onnxruntime would print a warning.
    for tidy in (common.LiftSubgraphInitializersToMainGraphPass(), common.RemoveUnusedNodesPass()):
        tidy(model)
    model.metadata_props.update({name: json.dumps(value) for name, value in facts.items()})
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)  # about intermediate values without a type
    return onnx_ir.to_proto(model).SerializeToString()


def open_onnx(content: bytes) -> Program:
    """Open a file's content as a function of images, run by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: dict(zip(OUTPUT_NAMES, session.run(OUTPUT_NAMES, {INPUT: images}), strict=True))

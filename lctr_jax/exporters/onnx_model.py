"""The program in ONNX, by jax2onnx."""

import json
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lctr_jax.exporters.program import INPUT, OUTPUT_NAMES, InputType, Program

OPSET = 20  # the oldest with GELU; runtimes since early 2024 have it
INSTALL = (
    "pip install -e '.[export]' && pip install --no-deps 'jax2onnx>=0.17.1,<0.18' "
    "(docs/export.md says why apart)"
)


def require_onnx() -> None:
    """See that everything is there before any work is done.

    Raises:
        ModuleNotFoundError: a package is missing.
    """
    try:
        import jax2onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"ONNX needs {error.name}: {INSTALL}") from error


def export_onnx(program: Program, facts: Mapping[str, Any], *, side: int, input_type: InputType) -> bytes:
    """The program as an ONNX file's content, for any number of images; `facts` become its properties."""
    import jax2onnx
    import onnx_ir
    from onnx_ir.passes import common

    (batch,) = jax.export.symbolic_shape("batch")
    with warnings.catch_warnings():
        # jax2onnx asks for float64 constants while it traces; they are float32, as everything here.
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
    # The converter leaves constants that nothing reads, of which onnxruntime would complain one by one.
    for tidy in (common.LiftSubgraphInitializersToMainGraphPass(), common.RemoveUnusedNodesPass()):
        tidy(model)
    model.metadata_props.update({name: json.dumps(value) for name, value in facts.items()})
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)  # of intermediate values without a type
    return onnx_ir.to_proto(model).SerializeToString()


def open_onnx(content: bytes) -> Program:
    """The file's content as a function of images, run by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: dict(zip(OUTPUT_NAMES, session.run(OUTPUT_NAMES, {INPUT: images}), strict=True))

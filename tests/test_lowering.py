"""The published steps lowered for GPUs and TPUs on a machine with only CPUs.

What JAX refuses when lowering, such as an unsupported number of tokens for cuDNN, is refused here as well.
"""

import importlib.util
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.core import jaxprs_in_params
from jax._src.cudnn import fused_attention_stablehlo as fused
from jax.lax import Precision
from jax.sharding import AxisType, Mesh

from lctr_jax.distributed.mesh import BATCH_AXES
from lctr_jax.evaluation.forward import forward_program
from lctr_jax.models.execution import DeviceKind, resolve
from lctr_jax.models.parameters import initialize, parameter_shapes
from lctr_jax.models.training_attention import training_attention
from lctr_jax.run.assembly import compile_training, make_optimizer
from lctr_jax.run.config import parse_config
from lctr_jax.run.config_files import find_config
from lctr_jax.training.state import new_state

pytestmark = pytest.mark.slow

# One device: with several, what cuDNN is to compute is settled by their compiler, after the lowering.
MESH = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
BATCH = 2
KINDS = {
    "TPU": ("tpu", DeviceKind("tpu")),
    "V100": ("cuda", DeviceKind("gpu", (7, 0))),
    "A100": ("cuda", DeviceKind("gpu", (8, 0))),
    "H100": ("cuda", DeviceKind("gpu", (9, 0))),
    "AMD": ("rocm", DeviceKind("gpu")),
}
CUDNN = ["__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward"]
PALLAS = ["tpu_custom_call"] * 2  # forward and backward


@pytest.fixture(autouse=True)
def _device(monkeypatch):
    """What JAX asks the device, answered as an A100 would, the least that cuDNN's attention runs on."""
    monkeypatch.setattr(fused, "check_cudnn_version", lambda: 90000)
    monkeypatch.setattr(fused, "check_compute_capability", lambda asked: float(asked) <= 8.0)
    monkeypatch.setattr(fused, "is_cuda_compute_capability_equal", lambda asked: asked == "8.0")


def published(name, **model):
    """The config's options, and its network for CUB's 200 classes."""
    spec = importlib.util.spec_from_file_location("config", find_config(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.model.update(model)
    options = parse_config(config)
    return options, options.spec(num_classes=200)


def traced_step(kind, name="cub", **model):
    """The training step that a run compiles."""
    options, spec = published(name, **model)
    spec = resolve(spec, KINDS[kind][1])
    optimizer, scaled = make_optimizer(options.train, spec), spec.dtype == "float16"
    state = jax.eval_shape(
        lambda: new_state(initialize(spec, jax.random.key(0)), optimizer, loss_scaling=scaled)
    )
    step = compile_training(options, MESH, state, spec, steps_per_epoch=10)
    side = spec.image_size
    batch = {"image": shape((BATCH, side, side, 3), jnp.uint8), "label": shape((BATCH,), jnp.int32)}
    return step.trace(state, batch)


def traced_evaluation(kind, name="cub", **model):
    """The evaluation's forward pass, with all of its outputs."""
    spec = resolve(published(name, **model)[1], KINDS[kind][1])
    side = spec.image_size
    images, labels = shape((BATCH, side, side, 3), jnp.uint8), shape((BATCH,), jnp.int32)
    return forward_program(spec, MESH).trace(parameter_shapes(spec), images, labels)


def shape(sides, dtype):
    return jax.ShapeDtypeStruct(sides, dtype)


def kernels(traced, platform):
    """The calls, in what a platform's compiler is given, of programs that it does not make itself."""
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    calls = [name for name in re.findall(r"custom_call @([\w$]+)", text) if name in {*CUDNN, *PALLAS}]
    # GPUs unroll the blocks: newer releases of JAX then write the calls of every block.
    return calls if platform == "tpu" else [name for name, _ in itertools.groupby(calls)]


@pytest.mark.parametrize("name", ["cub", "imagenet"])
@pytest.mark.parametrize(
    ("kind", "expected"), [("TPU", PALLAS), ("V100", []), ("H100", CUDNN), ("AMD", [])], ids=str
)
def test_the_published_step_lowers_without_a_flag(kind, name, expected):
    assert kernels(traced_step(kind, name), KINDS[kind][0]) == expected


@pytest.mark.parametrize(
    ("kind", "attention", "dtype", "expected"),
    [
        ("A100", "cudnn", "bfloat16", CUDNN),
        ("A100", "cudnn", "float16", CUDNN),
        ("A100", "plain", "bfloat16", []),
        ("A100", "plain", "float32", []),
        ("V100", "xla", "float16", []),
        ("A100", "xla", "float32", []),
        ("A100", "cpu", "bfloat16", []),
        ("TPU", "tpu", "bfloat16", PALLAS),
        ("TPU", "tpu", "float32", PALLAS),
        ("TPU", "plain", "bfloat16", []),
        ("TPU", "xla", "float32", []),
        ("TPU", "cpu", "float32", []),
    ],
)
def test_the_step_lowers_with_every_attention(kind, attention, dtype, expected):
    traced = traced_step(kind, attention=attention, dtype=dtype)
    assert kernels(traced, KINDS[kind][0]) == expected


@pytest.mark.parametrize("kind", ["TPU", "V100", "A100"])
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_the_published_evaluation_lowers(kind, dtype):
    traced = traced_evaluation(kind, dtype=dtype)
    assert kernels(traced, KINDS[kind][0]) == []  # RPAM needs the whole attention


@pytest.mark.parametrize(("kind", "expected"), [("TPU", PALLAS[:1]), ("A100", CUDNN[:1])])
def test_a_method_that_reads_clss_row_alone_is_evaluated_by_the_devices_attention(kind, expected):
    assert kernels(traced_evaluation(kind, method="tscam"), KINDS[kind][0]) == expected


@pytest.mark.parametrize("tokens", [196, 197, 257, 261, 577, 785, 1025])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_cudnn_takes_every_number_of_tokens(tokens, dtype):
    def loss(qkv):
        attended, cls = training_attention(qkv, heads=6, implementation="cudnn")
        return attended.astype(jnp.float32).sum() + cls.sum()

    traced = jax.jit(jax.grad(loss)).trace(shape((BATCH, tokens, 3 * 384), dtype))
    assert kernels(traced, "cuda") == CUDNN


def product_precisions(jaxpr):
    """Of every matrix product and convolution, kernels' own among them."""
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            found.add(equation.params["precision"])
        for inner in jaxprs_in_params(equation.params):
            found |= product_precisions(inner)
    return found


@pytest.mark.parametrize("kind", ["TPU", "A100"])
@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", Precision.HIGHEST), ("high", Precision.HIGH), ("default", Precision.DEFAULT)],
)
def test_every_float32_product_has_the_precision(kind, precision, expected):
    for trace in (traced_step, traced_evaluation):
        traced = trace(kind, dtype="float32", precision=precision)
        assert product_precisions(traced.jaxpr.jaxpr) == {(expected, expected)}

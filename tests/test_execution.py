"""The meaning of "auto" on each kind of device, and that a run prints and records it."""

import types
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from small_run import draw_folder, train

from benchmarks.programs import fresh_state, our_step
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.models.attention_kernel import MAX_TOKENS
from lctr_jax.models.attention_probe import attention_refusal
from lctr_jax.models.execution import (
    DeviceKind,
    device_kind,
    inference_compiler_options,
    portable,
    resolve,
)
from lctr_jax.models.parameters import bind, parameter_shapes
from lctr_jax.models.spec import model_spec
from lctr_jax.run import execution_settings
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.execution_settings import settle_dtype, settle_execution
from lctr_jax.run.saved_config import as_json, require_same
from lctr_jax.training import steps

CPU, TPU, AMD = DeviceKind("cpu"), DeviceKind("tpu"), DeviceKind("gpu")
V100, T4, A100, H100 = (DeviceKind("gpu", capability) for capability in ((7, 0), (7, 5), (8, 0), (9, 0)))
OPEN = {"dtype": "auto", "precision": "auto", "attention": "auto", "layer_loop": "auto"}


def resolved(kind, **fields):
    spec = resolve(model_spec("deit_small", num_classes=2, **OPEN | fields), kind)
    return spec.dtype, spec.precision, spec.attention


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (CPU, ("float32", "highest", "cpu")),
        (TPU, ("bfloat16", "default", "tpu")),
        (H100, ("bfloat16", "default", "cudnn")),
        (A100, ("bfloat16", "default", "cudnn")),
        (T4, ("float16", "default", "plain")),  # cuDNN would raise
        (V100, ("float16", "default", "plain")),
        (AMD, ("bfloat16", "default", "plain")),
        (DeviceKind("another"), ("float32", "highest", "plain")),
    ],
)
def test_auto_is_what_suits_the_devices(kind, expected):
    assert resolved(kind) == expected


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (H100, {"dtype": "float32"}, ("float32", "highest", "plain")),
        (TPU, {"dtype": "float32"}, ("float32", "highest", "tpu")),
        (TPU, {"dtype": "float32", "precision": "high"}, ("float32", "high", "plain")),
        (CPU, {"dtype": "bfloat16"}, ("bfloat16", "default", "cpu")),
        (H100, {"precision": "highest"}, ("bfloat16", "highest", "cudnn")),
        (CPU, {"attention": "tpu"}, ("float32", "highest", "tpu")),  # explicit: a run tries it and says so
        (TPU, {"image_size": 512}, ("bfloat16", "default", "plain")),
        (H100, {"image_size": 512}, ("bfloat16", "default", "cudnn")),
        (H100, {"width": 64, "heads": 8}, ("bfloat16", "default", "cudnn")),
        (H100, {"width": 96, "heads": 8}, ("bfloat16", "default", "plain")),  # 12 wide
        (H100, {"width": 272, "heads": 2}, ("bfloat16", "default", "plain")),  # 136 wide
    ],
)
def test_what_is_explicit_stays_and_what_a_kernel_does_not_take_is_plain(kind, fields, expected):
    assert resolved(kind, **fields) == expected


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (H100, {}, "unroll"),
        (V100, {}, "unroll"),
        (AMD, {}, "unroll"),
        (TPU, {}, "scan"),
        (CPU, {}, "scan"),
        (H100, {"rematerialize": "blocks"}, "scan"),
        (H100, {"layer_loop": "scan"}, "scan"),
        (CPU, {"layer_loop": "unroll"}, "unroll"),
    ],
)
def test_gpus_unroll_the_blocks_unless_memory_is_short(kind, fields, expected):
    assert resolve(model_spec("deit_small", num_classes=2, **OPEN | fields), kind).layer_loop == expected


def test_shared_parameters_keep_the_loop_over_blocks():
    """Unrolled, the compiler could gather the parameters of all blocks at once."""
    spec = model_spec("deit_small", num_classes=2, **OPEN)
    assert [resolve(spec, H100, fsdp=fsdp).layer_loop for fsdp in (1, 8)] == ["unroll", "scan"]
    explicit = replace(spec, layer_loop="unroll")
    assert resolve(explicit, H100, fsdp=8).layer_loop == "unroll"


@pytest.mark.parametrize(("fsdp", "loop", "other"), [(1, "unroll", "scan"), (4, "scan", "unroll")])
def test_the_training_step_takes_the_loop_that_a_run_reports(monkeypatch, fsdp, loop, other):
    for module in (steps, execution_settings):
        monkeypatch.setattr(module, "device_kind", lambda devices: AMD)
    mesh, lines = make_mesh(fsdp=fsdp), []
    spec = small(**OPEN | {"dtype": "float32"}, depth=2, drop_path=0.1)
    settle_execution(spec, mesh, lines.append)
    assert lines[-1].endswith(f"model.layer_loop={loop}")

    def count_loops(spec):
        plain = replace(spec, attention="plain", precision="highest")
        state = jax.eval_shape(lambda: fresh_state(plain))
        image = jax.ShapeDtypeStruct((8, 64, 64, 3), jnp.uint8)
        batch = {"image": image, "label": jax.ShapeDtypeStruct((8,), jnp.int32)}
        return our_step(plain, mesh, state).lower(state, batch).as_text().count("stablehlo.while")

    explicit = {choice: count_loops(replace(spec, layer_loop=choice)) for choice in (loop, other)}
    assert count_loops(spec) == explicit[loop] != explicit[other]


def test_forward_passes_on_nvidia_use_cublas_unless_the_environment_decides(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    options = inference_compiler_options(H100)
    assert options == {"xla_gpu_enable_triton_gemm": False}
    assert [inference_compiler_options(kind) for kind in (CPU, TPU, AMD)] == [{}, {}, {}]
    jax.jit(lambda x: x + 1, compiler_options=options)(jnp.ones(2))  # refused if XLA does not know the name
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=true")
    assert inference_compiler_options(H100) == {}


def test_tokens_decide_on_a_tpu():
    assert model_spec("deit_small", num_classes=2, image_size=512).tokens == 1025 > MAX_TOKENS


@pytest.mark.parametrize(
    ("platform", "capabilities", "expected"),
    [
        ("gpu", ["9.0"], H100),
        ("cuda", ["8.0", "7.5", "9.0"], T4),  # the oldest decides for all
        ("gpu", ["gfx90a"], AMD),
        ("tpu", [None], TPU),
    ],
)
def test_the_kind_is_read_from_the_devices(platform, capabilities, expected):
    devices = [
        types.SimpleNamespace(platform=platform, **({"compute_capability": each} if each else {}))
        for each in capabilities
    ]
    assert device_kind(devices) == expected


def test_the_kind_of_this_machines_devices():
    assert device_kind(jax.devices()) == CPU


def test_a_network_is_not_built_from_what_is_left_open():
    spec = model_spec("deit_tiny", num_classes=2, depth=1, **OPEN)
    parameters = parameter_shapes(spec)  # depends on none of it
    with pytest.raises(ValueError, match=r"model\.dtype: got 'auto'"):
        bind(spec, parameters)
    bind(portable(spec), parameters)


def small(**fields):
    """Of 17 tokens."""
    return model_spec("deit_tiny", num_classes=2, width=32, heads=2, image_size=64, **fields)


@pytest.mark.parametrize(("attention", "why"), [("cudnn", "cuDNN"), ("tpu", "interpret mode")])
def test_attention_that_the_device_refuses_is_reported(attention, why):
    assert why in str(attention_refusal(small(dtype="bfloat16", attention=attention), jax.devices()[0]))


@pytest.mark.parametrize("attention", ["plain", "cpu"])
def test_what_jax_itself_computes_is_not_tried(monkeypatch, attention):
    monkeypatch.setattr("lctr_jax.models.attention_probe.training_attention", None)
    assert attention_refusal(small(attention=attention), jax.devices()[0]) is None


@pytest.mark.optimized  # products of bfloat16 in this form
@pytest.mark.usefixtures("implicit_promotion")  # by the derivative of JAX's attention
@pytest.mark.parametrize("fault", [None, "values", "gradients", "nan"])
def test_attention_that_computes_something_else_is_reported(monkeypatch, fault):
    """Plain XLA attention, which runs here, with a fault like a broken engine could have."""

    compute = jax.nn.dot_product_attention

    def attend(query, key, value, *, implementation, **lengths):
        assert implementation == "cudnn"
        attended = compute(query, key, value, implementation="xla", **lengths)
        if fault == "values":  # the padding counts as a token
            attended = compute(query, key, value, implementation="xla")
        if fault == "gradients":
            attended = jax.lax.stop_gradient(attended - value) + value
        return attended * jnp.nan if fault == "nan" else attended

    monkeypatch.setattr(jax.nn, "dot_product_attention", attend)
    try_again = attention_refusal.__wrapped__  # not from the cache
    refusal = try_again(small(dtype="bfloat16", attention="cudnn"), jax.devices()[0])
    assert (refusal is None) == (fault is None), refusal
    assert fault is None or "differs from plain attention by" in str(refusal)


def test_a_run_settles_its_dtype_and_does_not_go_on_in_another(tmp_path):
    asked = parse_config(default_config())
    settled = settle_dtype(asked, make_mesh())
    assert (asked.model["dtype"], settled.model["dtype"]) == ("auto", "float32")
    elsewhere = replace(asked, model={**asked.model, "dtype": "bfloat16"})
    with pytest.raises(ValueError, match=r"model\.dtype was 'float32', is 'bfloat16'"):
        require_same(tmp_path, as_json(elsewhere), as_json(settled))


def test_a_run_says_how_it_computes():
    lines = []
    spec = settle_execution(small(**OPEN), make_mesh(), lines.append)
    computing = "computing with model.dtype=float32, model.precision=highest, model.attention=cpu"
    assert lines == [f"{computing}, model.layer_loop=scan"]
    assert (spec.dtype, spec.precision, spec.attention) == ("float32", "highest", "cpu")


def test_refused_attention_is_said_in_one_line_and_replaced(tmp_path, capsys):
    draw_folder(tmp_path / "pictures")
    train(tmp_path / "pictures", tmp_path / "run", "--dry_run", "--config.model.attention=cudnn")
    said = capsys.readouterr().err.splitlines()
    (refused,) = [line for line in said if line.startswith("cudnn attention: ")]
    assert refused.endswith("; using plain attention")
    computing = "computing with model.dtype=float32, model.precision=highest, model.attention=plain"
    assert said[said.index(refused) + 1] == f"{computing}, model.layer_loop=scan"

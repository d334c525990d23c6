"""Compiling for GPUs that are not present, if their compiler is installed, and the message otherwise."""

import pytest

from benchmarks import gpu_topology, memory_fit, roofline, topology
from benchmarks.compiled import analyze
from benchmarks.programs import lower_forward, lower_ours
from lctr_jax.models.spec import ModelSpec

HAS_COMPILER = gpu_topology.has_gpu_compiler()
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason=gpu_topology.MISSING)
SPEC = ModelSpec(
    num_classes=8,
    width=128,
    depth=2,
    heads=2,
    image_size=224,
    dtype="bfloat16",
    precision="auto",
    attention="auto",
    drop_path=0.1,
)
TOKENS = 197


@pytest.mark.parametrize("name", ["h100", "h100:none", "h100:0", "v100:8"])
def test_a_gpu_that_nobody_knows_is_named(name):
    with pytest.raises(ValueError, match=r"expected a100 or h100 and a count, as in h100:8"):
        gpu_topology.gpu_mesh(name)


def test_without_the_compiler_a_topology_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(gpu_topology, "has_gpu_compiler", lambda: False)
    monkeypatch.setattr("benchmarks.tpu_topology.has_tpu_compiler", lambda: True)
    names, lines = topology.available(["h100:8", "v5e:2x4"])
    assert names == ["v5e:2x4"]
    assert lines == [f"h100:8 is skipped: {gpu_topology.MISSING}"]
    with pytest.raises(ModuleNotFoundError, match="gpu-compiler"):
        gpu_topology.gpu_mesh("h100:8")


def test_a_program_fits_what_jax_takes_of_a_gpu():
    assert memory_fit.fits(int(17.9e9)) == [True, True, True, False]
    assert memory_fit.fits(int(18.1e9)) == [True, True, False, False]


def test_tables_of_gpus_tell_memory_and_attention_but_no_flops():
    row = {
        **{"case": "cub", "topology": "h100:8", "program": "ours", "images_per_chip": 128},
        **{"flops_per_image": None, "bytes_accessed": None, "main_memory_bytes": None},
        **{"temporary_bytes": 2.9e9, "peak_bytes": 13e9},
        **{"collectives": [{"kind": "all-reduce", "num_bytes": 10**6, "executions": 3}]},
        **{"arithmetic_seconds": None, "fused_attention": 24, "float32_scores": []},
    }
    memory, gpus = roofline.tables([row])
    assert memory["rows"] == [["ours, cub, h100:8", "", "", "2.90", "13.00", "3 all-reduce, 3.0 MB"]]
    assert gpus["rows"] == [["ours, cub, h100:8", "24 calls", "none", "yes", "yes", "yes", "no"]]


@needs_compiler
@pytest.mark.parametrize("name", ["a100:8", "h100:16"])
def test_a_mesh_has_the_gpus_it_is_asked_for(name):
    mesh = gpu_topology.gpu_mesh(name, fsdp=2)
    assert mesh.shape == {"data": int(name[5:]) // 2, "fsdp": 2}
    assert {device.platform for device in mesh.devices.flat} == {"gpu"}
    kind = gpu_topology.GPUS[name[:4]]
    assert mesh.devices.flat[0].device_kind == kind.name


@needs_compiler
def test_the_step_on_gpus_attends_by_cudnn_and_keeps_no_scores():
    mesh = gpu_topology.gpu_mesh("h100:8", fsdp=2)
    costs = analyze(topology.compile_for(mesh, lower_ours(SPEC, mesh, 64)), tokens=TOKENS)
    assert costs.flops is None
    assert (
        costs.fused_attention >= 2 * SPEC.depth
    )  # forward, made again where backward needs it, and backward
    assert costs.float32_scores == ()
    assert {one.kind for one in costs.collectives} == {"all-gather", "reduce-scatter", "all-reduce"}


@needs_compiler
def test_evaluation_compiles_for_gpus():
    mesh = gpu_topology.gpu_mesh("a100:8")
    costs = analyze(topology.compile_for(mesh, lower_forward(SPEC, mesh, 64)), tokens=TOKENS)
    assert costs.collectives == []
    assert 0 < costs.temporary_bytes < 2**30

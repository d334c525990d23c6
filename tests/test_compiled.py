import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from benchmarks import hlo
from benchmarks.compiled import analyze
from benchmarks.hlo import Collective
from benchmarks.loop_costs import kernel_work
from benchmarks.tpu_topology import tpu_mesh

DEVICES = 8


def compile_on_devices(function, *shapes):
    """Of `function` as every one of the eight devices runs it; arguments are split over their first axis."""
    mesh = jax.make_mesh((DEVICES,), ("d",), axis_types=(AxisType.Auto,))
    rows = PartitionSpec("d")
    mapped = jax.shard_map(function, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False)
    return jax.jit(mapped).lower(*shapes).compile()


def float32(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


CASES = {
    "all-reduce": (lambda x: jax.lax.psum(x, "d"), 16 * 4),
    "all-gather": (lambda x: jax.lax.all_gather(x, "d"), DEVICES * 16 * 4),
    "reduce-scatter": (lambda x: jax.lax.psum_scatter(x, "d", tiled=True), 16 // DEVICES * 4),
    "all-to-all": (lambda x: jax.lax.all_to_all(x, "d", 0, 0, tiled=True), 16 * 4),
    "collective-permute": (lambda x: jax.lax.ppermute(x, "d", [(0, 1), (1, 0)]), 16 * 4),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_collective_is_found_with_its_bytes(kind):
    function, num_bytes = CASES[kind]
    costs = analyze(compile_on_devices(lambda x: function(x).reshape(-1), float32(DEVICES * 16)))
    assert costs.collectives == [Collective(kind, num_bytes, 1)]


def test_a_tuple_counts_all_its_arrays_whatever_their_type():
    def reduce(x):
        total, count = jax.lax.psum((x, jnp.int16(1)), "d")
        return total + count.astype(total.dtype)

    found = analyze(compile_on_devices(reduce, float32(DEVICES * 16))).collectives
    assert {one.kind for one in found} == {"all-reduce"}
    assert sum(one.num_bytes for one in found) == pytest.approx(16 * 4, abs=4)
    assert sum(one.num_bytes for one in found) > 16 * 4


def test_a_collective_in_a_loop_runs_once_a_turn():
    def body(carry, row):
        return carry + jax.lax.psum(jnp.tanh(carry) * row, "d"), None

    def run(x, rows):
        inner = lambda carry, _: jax.lax.scan(body, carry, rows)  # noqa: E731
        return jax.lax.scan(inner, x, None, length=3)[0]

    costs = analyze(compile_on_devices(run, float32(DEVICES * 16), float32(DEVICES * 5)))
    assert costs.collectives == [Collective("all-reduce", 16 * 4, 15)]


def test_no_collective_on_one_device_and_the_flops_of_a_product():
    costs = analyze(jax.jit(jnp.dot).lower(float32(32, 64), float32(64, 128)).compile())
    assert costs.collectives == []
    assert costs.flops == pytest.approx(2 * 32 * 64 * 128, rel=0.01)
    assert costs.argument_bytes == 4 * (32 * 64 + 64 * 128)
    assert costs.output_bytes == 4 * 32 * 128
    assert costs.peak_bytes >= costs.argument_bytes + costs.output_bytes


@pytest.mark.parametrize("outer", [1, 3])
def test_loops_count_as_often_as_they_run(outer):
    def run(weights, x):
        inner = lambda x, _: jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)  # noqa: E731
        return jax.lax.scan(lambda x, _: (inner(x, None)[0], None), x, None, length=outer)[0]

    def unrolled(weights, x):
        for index in range(outer * 5):
            x = jnp.tanh(x @ weights[index % 5])
        return x

    shapes = float32(5, 64, 64), float32(32, 64)
    looped, flat = (analyze(jax.jit(f).lower(*shapes).compile()) for f in (run, unrolled))
    assert flat.bytes_accessed is not None
    assert looped.bytes_accessed is not None
    assert flat.flops >= outer * 5 * 2 * 32 * 64 * 64
    assert looped.flops == pytest.approx(flat.flops, rel=0.01)
    # The loop copies each iteration's weights out of the stack, and its carry between iterations.
    copies = outer * 5 * 4 * (2 * 64 * 64 + 2 * 32 * 64)
    assert 0 <= looped.bytes_accessed - flat.bytes_accessed <= copies


ASYNCHRONOUS = """
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%wrapped (p: f32[8,4]) -> f32[1,4] {
  ROOT %rs = f32[1,4]{1,0} reduce-scatter(%p), dimensions={0}, to_apply=%add
}

ENTRY %main (a: f32[8,4], b: bf16[2,3]) -> f32[8,4] {
  %ar = (f32[8,4]{1,0:T(8,128)}, bf16[2,3]{1,0}) all-reduce-start(%a, %b), to_apply=%add
  %ar-done = (f32[8,4]{1,0}, bf16[2,3]{1,0}) all-reduce-done(%ar)
  %ar.1 = ((bf16[5,3]{1,0}), bf16[5,3]{1,0}) all-reduce-start(%c), to_apply=%add
  %ag = (bf16[2,3]{1,0}, /*index=1*/bf16[16,3]{1,0:T(8,128)(2,1)}) all-gather-start(%b), dimensions={0}
  %ag-done = bf16[16,3]{1,0} all-gather-done(%ag)
  %cp = (f32[8,4]{1,0}, f32[8,4]{1,0}, u32[], u32[]) collective-permute-start(%a)
  %cp-done = f32[8,4]{1,0} collective-permute-done(%cp)
  %as = ((f32[8,4]{1,0}), f32[1,4]{1,0}, s32[]) async-start(%a), calls=%wrapped
  ROOT %as-done = f32[1,4]{1,0} async-done(%as)
}
"""


def test_asynchronous_pairs_count_once_and_by_their_results():
    """Collectives as written by compilers for TPU and GPU, which do not occur in CPU programs."""
    found = sorted(hlo.parse(ASYNCHRONOUS).collectives())
    assert found == [
        ("all-gather", 16 * 3 * 2, 1),
        ("all-reduce", 5 * 3 * 2, 1),
        ("all-reduce", 8 * 4 * 4 + 2 * 3 * 2, 1),
        ("collective-permute", 8 * 4 * 4, 1),
        ("reduce-scatter", 4 * 4, 1),
    ]


FUSED = """
%first (p: bf16[2,3]) -> bf16[16,3] {
  %ag.1 = bf16[16,3]{1,0} all-gather(%p), channel_id=7, frontend_attributes={chain_id="0"}
  ROOT %start = (bf16[2,3], bf16[16,3]) custom-call(%ag.1), custom_call_target="AsyncCollectiveStart"
}

%beside (p: bf16[2,3]) -> bf16[16,3] {
  ROOT %ag.2 = bf16[16,3]{1,0} all-gather(%p), channel_id=7, frontend_attributes={chain_id="0"}
}

%last (p: bf16[2,3]) -> bf16[16,3] {
  %ag.3 = bf16[16,3]{1,0} all-gather(%p), channel_id=7, frontend_attributes={chain_id="0"}
  ROOT %done = bf16[16,3]{1,0} custom-call(%p, %ag.3), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main (b: bf16[2,3]) -> bf16[16,3] {
  %1 = bf16[16,3]{1,0} fusion(%b), kind=kCustom, calls=%first
  %2 = bf16[16,3]{1,0} fusion(%b), kind=kCustom, calls=%beside
  %rs = ((f32[8,4]{1,0}, f32[16]{0}), (f32[1,4]{1,0}, f32[2]{0})) reduce-scatter-start(%a, %c), to_apply=%add
  ROOT %3 = bf16[16,3]{1,0} fusion(%b), kind=kCustom, calls=%last
}
"""


def test_a_collective_that_runs_inside_several_fusions_counts_once():
    """A gather in parallel with computation (XLA:TPU), and a scatter's operands before results (XLA:GPU)."""
    found = sorted(hlo.parse(FUSED).collectives())
    assert found == [("all-gather", 16 * 3 * 2, 1), ("reduce-scatter", 4 * (4 + 2), 1)]


ATTENTION = """
%body (p: bf16[2,198,64]) -> bf16[2,198,64] {
  %a = bf16[2,198,64] custom-call(%p), custom_call_target="__cudnn$fmhaSoftmax"
  ROOT %b = bf16[2,198,64] custom-call(%a), custom_call_target="__cudnn$fmhaSoftmaxBackward"
}

%condition (p: bf16[2,198,64]) -> pred[] {
  ROOT %less = pred[] constant(false)
}

ENTRY %main (q: bf16[2,198,64]) -> bf16[2,198,64] {
  %scores = f32[2,6,197,197]{3,2,1,0} broadcast(%q)
  %padded = f32[12,198,198]{2,1,0} broadcast(%q)
  %narrow = bf16[2,6,197,197]{3,2,1,0} broadcast(%q)
  %one = f32[197,197]{1,0} broadcast(%q)
  %other = f32[2,6,197,64]{3,2,1,0} broadcast(%q)
  ROOT %w = bf16[2,198,64] while(%q), condition=%condition, body=%body, x={"known_trip_count":{"n":"12"}}
}
"""


def test_fused_attention_and_stored_scores_are_reported():
    program = hlo.parse(ATTENTION)
    assert program.fused_attention() == 24
    assert program.float32_scores(197) == {"f32[2,6,197,197]", "f32[12,198,198]"}
    assert program.float32_scores(64) == set()


def test_tpu_programs_compile_without_a_tpu():
    pytest.importorskip("libtpu")
    mesh = tpu_mesh("v5e:2x4")
    assert mesh.size == 8
    rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))

    def loss(weights, x):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0].sum()

    whole = NamedSharding(mesh, PartitionSpec())
    step = jax.jit(jax.grad(loss), in_shardings=(whole, rows), out_shardings=whole)
    shapes = (
        jax.ShapeDtypeStruct((6, 512, 512), jnp.bfloat16),
        jax.ShapeDtypeStruct((1024, 512), jnp.bfloat16),
    )
    costs = analyze(step.lower(*shapes).compile())
    assert {one.kind for one in costs.collectives} == {"all-reduce"}
    assert sum(one.num_bytes * one.executions for one in costs.collectives) == np.prod((6, 512, 512)) * 2
    assert costs.flops == pytest.approx(6 * 2 * 512 * 512 * (1024 // 8) * 3, rel=0.02)
    assert costs.estimated_cycles > 0
    assert costs.bytes_accessed is not None
    assert 0 < costs.main_memory_bytes <= costs.bytes_accessed


def test_kernels_in_a_loop_count_what_they_say_of_themselves():
    config = '{"cost_estimate":{"flops":"7","transcendentals":"0","bytes_accessed":"16"}}'
    kernel = f'%k = f32[2] custom-call(%p), custom_call_target="tpu_custom_call", backend_config={config}'
    once = f"%other (p: f32[2]) -> f32[2] {{\n  {kernel}\n}}\n"
    twice = f"%body (p: f32[2]) -> f32[2] {{\n  {kernel}\n  {kernel}\n}}\n"
    text = f"HloModule m\n\n{once}\n{twice}"
    assert kernel_work(text, "body") == (14.0, 32.0)

"""Costs of a compiled program as reported by the compiler: deterministic, without running it.

>>> analyze(jax.jit(step).lower(*shapes).compile())
"""

from typing import NamedTuple

from jax.stages import Compiled

from benchmarks import hlo
from benchmarks.loop_costs import loop_surplus
from benchmarks.memory_traffic import main_memory_bytes


class Costs(NamedTuple):
    """Costs of one run on one device.

    Attributes:
        flops: XLA's estimate, including all loop iterations; None on GPUs, for which XLA has none.
        bytes_accessed: XLA's estimate of bytes read and written by instructions, likewise.
        temporary_bytes: memory besides arguments and outputs.
        argument_bytes: memory of arguments.
        output_bytes: memory of outputs.
        aliased_bytes: outputs that use the memory of (donated) arguments.
        collectives: communication between devices.
        estimated_cycles: XLA:TPU's estimate of the time, 0 elsewhere.
        fused_attention: number of calls of cuDNN's attention, forward and backward.
        main_memory_bytes: a TPU's traffic with its main memory (`benchmarks/memory_traffic.py`).
        float32_scores: arrays with the shape of stored attention scores (`hlo.Program.float32_scores`).
    """

    flops: float | None
    bytes_accessed: float | None
    temporary_bytes: int
    argument_bytes: int
    output_bytes: int
    aliased_bytes: int
    collectives: list[hlo.Collective]
    estimated_cycles: int
    fused_attention: int = 0
    main_memory_bytes: int = 0
    float32_scores: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """Memory needed on the device at once."""
        return self.temporary_bytes + self.argument_bytes + self.output_bytes - self.aliased_bytes


def analyze(compiled: Compiled, *, tokens: int | None = None) -> Costs:
    """Analyze a compiled program; `tokens` is the length of the sequence that attention uses."""
    costs, memory = compiled.cost_analysis(), compiled.memory_analysis()
    assert memory is not None  # available from the compilers for CPU, GPU and TPU
    program = hlo.parse(compiled.as_text() or "")
    flops, num_bytes, main_memory = None, None, 0
    if costs is not None:  # not for GPUs that are not present
        main_memory = main_memory_bytes(program)
        surplus = loop_surplus(program)
        flops = costs.get("flops", 0.0) + surplus.flops
        num_bytes = costs.get("bytes accessed", 0.0) + surplus.num_bytes
    return Costs(
        flops=flops,
        bytes_accessed=num_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        argument_bytes=memory.argument_size_in_bytes,
        output_bytes=memory.output_size_in_bytes,
        aliased_bytes=memory.alias_size_in_bytes,
        collectives=program.collectives(),
        estimated_cycles=program.estimated_cycles(),
        fused_attention=program.fused_attention(),
        main_memory_bytes=main_memory,
        float32_scores=() if tokens is None else tuple(sorted(program.float32_scores(tokens))),
    )

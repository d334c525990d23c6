"""What a compiled program costs, read from the compiler: no clock, so no noise, and no device needed.

>>> analyze(jax.jit(step).lower(*shapes).compile())
"""

from typing import NamedTuple

from jax.stages import Compiled

from benchmarks import hlo
from benchmarks.loop_costs import loop_surplus


class Costs(NamedTuple):
    """Of one run on one device.

    Attributes:
        flops: XLA's estimate, loops counted as often as they run; None for GPUs, of which it makes none.
        bytes_accessed: the same of what instructions read and write.
        temporary_bytes: what the program needs beside its arguments and outputs.
        argument_bytes: of its arguments.
        output_bytes: of its outputs.
        aliased_bytes: of outputs in the memory of arguments (donated).
        collectives: what devices tell each other.
        estimated_cycles: XLA:TPU's guess at the time, 0 elsewhere.
        fused_attention: calls of cuDNN's attention, forward and backward.
        float32_scores: arrays that look like attention's stored scores (`hlo.Program.float32_scores`).
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
    float32_scores: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """What has to fit into the device's memory at once."""
        return self.temporary_bytes + self.argument_bytes + self.output_bytes - self.aliased_bytes


def analyze(compiled: Compiled, *, tokens: int | None = None) -> Costs:
    """The costs of a compiled program, as its compiler tells them; `tokens`: of a sequence it attends to."""
    costs, memory = compiled.cost_analysis(), compiled.memory_analysis()
    assert memory is not None  # known to the compilers for CPU, GPU and TPU
    program = hlo.parse(compiled.as_text() or "")
    flops, num_bytes = None, None
    if costs is not None:
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
        float32_scores=() if tokens is None else tuple(sorted(program.float32_scores(tokens))),
    )

"""What a compiled program costs, read from the compiler: no clock, so no noise, and no device needed.

>>> analyze(jax.jit(step).lower(*shapes).compile())
"""

from typing import NamedTuple

from jax.stages import Compiled

from benchmarks import hlo
from benchmarks.loop_costs import loop_surplus


class Costs(NamedTuple):
    """Of one run on one device.

    `flops` and `bytes_accessed` are XLA's estimates, with loops counted as often as they run;
    `temporary_bytes` is what the program needs beside its arguments and outputs, of which `aliased_bytes` are
    the same memory (donated); `estimated_cycles` is XLA:TPU's guess at the time, 0 elsewhere.
    """

    flops: float
    bytes_accessed: float
    temporary_bytes: int
    argument_bytes: int
    output_bytes: int
    aliased_bytes: int
    collectives: list[hlo.Collective]
    estimated_cycles: int

    @property
    def peak_bytes(self) -> int:
        """What has to fit into the device's memory at once."""
        return self.temporary_bytes + self.argument_bytes + self.output_bytes - self.aliased_bytes


def analyze(compiled: Compiled) -> Costs:
    """The costs of a compiled program, as its compiler tells them."""
    costs, memory = compiled.cost_analysis(), compiled.memory_analysis()
    assert costs is not None  # known to the compilers for CPU, GPU and TPU
    assert memory is not None
    program = hlo.parse(compiled.as_text() or "")
    surplus = loop_surplus(program)
    return Costs(
        flops=costs.get("flops", 0.0) + surplus.flops,
        bytes_accessed=costs.get("bytes accessed", 0.0) + surplus.num_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        argument_bytes=memory.argument_size_in_bytes,
        output_bytes=memory.output_size_in_bytes,
        aliased_bytes=memory.alias_size_in_bytes,
        collectives=program.collectives(),
        estimated_cycles=program.estimated_cycles(),
    )

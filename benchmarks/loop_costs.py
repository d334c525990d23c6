"""XLA's cost analysis with all loop iterations included."""

import re
from typing import NamedTuple

import jax
from jax._src.lib import xla_client
from jaxlib import _hlo  # pyright: ignore[reportAttributeAccessIssue]

from benchmarks.hlo import Program

_ESTIMATE = re.compile(r'"cost_estimate":\{"flops":"(\d+)"[^}]*"bytes_accessed":"(\d+)"')


class Work(NamedTuple):
    """FLOPs, and bytes read and written by instructions, as estimated by XLA."""

    flops: float
    num_bytes: float


def loop_surplus(program: Program) -> Work:
    """Compute the costs that XLA's analysis omits: it counts each loop body once, on CPU and TPU.

    Each body is analyzed as a separate program, and its costs are added for all iterations but the first.
    """
    surplus = Work(0.0, 0.0)
    for name, loop in program.loops.items():
        body = _analyse_alone(program.text, name)
        # The analysis of an outer body already includes the inner body once.
        extra = program.executions[name] - program.executions[loop.caller]
        surplus = Work(surplus.flops + extra * body.flops, surplus.num_bytes + extra * body.num_bytes)
    return surplus


def _analyse_alone(text: str, computation: str) -> Work:
    _, rest = text.split("\n", 1)  # the header describes the arguments of the whole program
    rest = re.sub(r"^ENTRY ", "", rest, flags=re.MULTILINE)
    rest = re.sub(rf"^(?=%?{re.escape(computation)} \()", "ENTRY ", rest, flags=re.MULTILINE)
    module = _hlo.hlo_module_from_text(f"HloModule body\n{rest}")
    client = jax.devices("cpu")[0].client
    costs = xla_client._xla.hlo_module_cost_analysis(client, module)
    kernels = kernel_work(text, computation)
    return Work(costs.get("flops", 0.0) + kernels.flops, costs.get("bytes accessed", 0.0) + kernels.num_bytes)


def kernel_work(text: str, computation: str) -> Work:
    """Return the declared costs of a computation's Pallas kernels, which XLA's analysis counts as zero."""
    start = re.search(rf"^%?{re.escape(computation)} \(", text, flags=re.MULTILINE)
    assert start is not None
    block = text[start.start() : text.index("\n}", start.start())]
    estimates = [(float(flops), float(num_bytes)) for flops, num_bytes in _ESTIMATE.findall(block)]
    return Work(sum(flops for flops, _ in estimates), sum(num_bytes for _, num_bytes in estimates))

"""The published training steps on many devices, and the conditions for scaling."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax

from benchmarks.compiled import Costs
from benchmarks.gpu_topology import GPUS
from benchmarks.programs import published_spec
from lctr_jax.models.parameters import parameter_shapes
from lctr_jax.models.spec import ModelSpec

GIB = 2**30
CHIP_BYTES = {"v5e": 16 * GIB, "v6e": 32 * GIB, "a100": 80 * GIB, "h100": 80 * GIB}
METRIC_BYTES = 1024
"""More than loss, accuracy and similar values need, less than any activation."""
WORK_TOLERANCE = 0.02
FSDP_EXCHANGE = 3
"""Multiple of the parameters' bytes: gathered forward and backward, and gradients summed."""
FSDP_KINDS = {"all-gather", "reduce-scatter", "all-reduce"}
PERMUTED_SHARE = 0.01
"""Share of the parameters' bytes that XLA:TPU may add in collective-permutes; activations are larger."""
STATE_BYTES = 3 * 4
"""Per parameter: itself and AdamW's two moments in float32."""
COPIED_SHARE = 0.02
"""Share of the parameters: vectors, which are replicated, and padding of TPU layouts."""


class Case(NamedTuple):
    """A published step: the network, and the images per device."""

    size: str
    classes: int
    images: int

    @property
    def spec(self) -> ModelSpec:
        """The network as trained, in mixed precision."""
        return published_spec(self.size, classes=self.classes, dtype="bfloat16")

    @property
    def input_bytes(self) -> int:
        """Bytes of a device's images and labels."""
        return self.images * (3 * self.spec.image_size**2 + 4)


CASES = {
    "cub": Case("deit_small", 200, 128),
    "imagenet": Case("deit_small", 1000, 256),
    "deit_base": Case("deit_base", 1000, 128),
    "vit_huge": Case("vit_huge", 1000, 32),
}
"""CUB's and ImageNet's published images per device; DeiT-B with 1024 images on 8; a network for FSDP."""


class Row(NamedTuple):
    """A compiled step; `fsdp` devices share one copy of the parameters."""

    case: str
    platform: str
    devices: int
    costs: Costs
    fsdp: int = 1

    @property
    def kind(self) -> str:
        """Kind of device, such as "v5e"."""
        return self.platform.partition(":")[0]

    @property
    def title(self) -> str:
        """Description for messages."""
        split = f", fsdp {self.fsdp}" if self.fsdp > 1 else ""
        return f"{self.case} on {self.devices} x {self.platform}{split}"

    @property
    def exchanged_bytes(self) -> int:
        """Bytes of a device's results of all collectives in one step."""
        return sum(each.num_bytes * each.executions for each in self.costs.collectives)


def gradient_bytes(spec: ModelSpec) -> int:
    """Return the bytes of a float32 gradient."""
    return sum(4 * leaf.size for leaf in jax.tree.leaves(parameter_shapes(spec)))


def find_faults(row: Row, *, alone: Row | None) -> list[str]:
    """Describe what keeps a data-parallel step from scaling; `alone` is the same step on fewest devices."""
    costs, faults = row.costs, []
    work, before = costs.flops, alone and alone.costs.flops
    if alone and work and before and abs(work / before - 1) > WORK_TOLERANCE:
        faults.append(f"{work:.4g} FLOPs per device, {before:.4g} on {alone.devices}")
    faults += _split_faults(row) if row.fsdp > 1 else _copied_faults(row)
    chip = CHIP_BYTES.get(row.kind)
    if chip is not None and costs.peak_bytes > chip:
        faults.append(f"needs {costs.peak_bytes / GIB:.1f} GiB, the chip has {chip / GIB:.0f}")
    if row.kind in GPUS and costs.float32_scores:
        faults.append(f"attention's scores in float32: {', '.join(costs.float32_scores)}")
    return [f"{row.title}: {fault}" for fault in faults]


def _copied_faults(row: Row) -> Iterator[str]:
    """Check a step with replicated parameters."""
    strange = {each.kind for each in row.costs.collectives} - {"all-reduce"}
    if strange:
        yield f"{', '.join(sorted(strange))}, where only all-reduces belong"
    limit = gradient_bytes(CASES[row.case].spec) + METRIC_BYTES
    if row.exchanged_bytes > limit:
        yield f"{row.exchanged_bytes} bytes exchanged, gradients and metrics are {limit}"


def _split_faults(row: Row) -> Iterator[str]:
    """Check a step with sharded parameters."""
    case = CASES[row.case]
    parameters = gradient_bytes(case.spec)
    permutes = [each for each in row.costs.collectives if each.kind == "collective-permute"]
    permuted = sum(each.executions * each.num_bytes for each in permutes)
    small = {"collective-permute"} if permuted <= PERMUTED_SHARE * parameters else set()
    strange = {each.kind for each in row.costs.collectives} - FSDP_KINDS - small
    if strange:
        yield f"{', '.join(sorted(strange))}, where parameters are gathered and gradients summed"
    limit = FSDP_EXCHANGE * parameters + METRIC_BYTES
    if row.exchanged_bytes > limit:
        yield f"{row.exchanged_bytes} bytes exchanged, {FSDP_EXCHANGE} times the parameters are {limit}"
    state = parameters // 4 * STATE_BYTES
    share = int(state * (1 / row.fsdp + COPIED_SHARE)) + case.input_bytes
    if row.costs.argument_bytes > share:
        yield f"{row.costs.argument_bytes} bytes of state and images, a share of them is {share}"


def fewest_devices(row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the same step on the fewest devices of the kind, unless it is this one."""
    same = [one for one in rows if (one.case, one.kind) == (row.case, row.kind)]
    fewest = min(same, key=lambda one: (one.devices, one.fsdp))
    return None if fewest is row else fewest

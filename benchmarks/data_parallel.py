"""The published training steps on many devices, and what must hold for them to scale."""

from collections.abc import Sequence
from typing import NamedTuple

import jax

from benchmarks.compiled import Costs
from benchmarks.programs import published_spec
from lctr_jax.models.parameters import parameter_shapes
from lctr_jax.models.spec import ModelSpec

GIB = 2**30
CHIP_BYTES = {"v5e": 16 * GIB, "v6e": 32 * GIB}
METRIC_BYTES = 1024
"""More than loss, accuracy and their like need, less than any activation."""
WORK_TOLERANCE = 0.02


class Case(NamedTuple):
    """A published step: the network, and the images on each device."""

    size: str
    classes: int
    images: int

    @property
    def spec(self) -> ModelSpec:
        """The network as it is trained, in mixed precision."""
        return published_spec(self.size, classes=self.classes, dtype="bfloat16")


CASES = {
    "cub": Case("deit_small", 200, 128),
    "imagenet": Case("deit_small", 1000, 256),
    "deit_base": Case("deit_base", 1000, 128),
}
"""CUB's and ImageNet's published images a device; DeiT-B on the published 1024 over 8."""


class Row(NamedTuple):
    """One compiled step."""

    case: str
    platform: str
    devices: int
    costs: Costs

    @property
    def exchanged_bytes(self) -> int:
        """What a device has of all collectives' results in one step."""
        return sum(each.num_bytes * each.executions for each in self.costs.collectives)


def gradient_bytes(spec: ModelSpec) -> int:
    """Of one float32 gradient."""
    return sum(4 * leaf.size for leaf in jax.tree.leaves(parameter_shapes(spec)))


def find_faults(row: Row, *, alone: Row | None) -> list[str]:
    """Says what keeps a data-parallel step from scaling; `alone` is the same step on fewest devices."""
    title, costs = f"{row.case} on {row.devices} x {row.platform}", row.costs
    faults = []
    if alone is not None and abs(costs.flops / alone.costs.flops - 1) > WORK_TOLERANCE:
        faults.append(
            f"{title}: {costs.flops:.4g} FLOPs a device, {alone.costs.flops:.4g} on {alone.devices}"
        )
    strange = {each.kind for each in costs.collectives} - {"all-reduce"}
    if strange:
        faults.append(f"{title}: {', '.join(sorted(strange))}, where only all-reduces belong")
    limit = gradient_bytes(CASES[row.case].spec) + METRIC_BYTES
    if row.exchanged_bytes > limit:
        faults.append(f"{title}: {row.exchanged_bytes} bytes exchanged, gradients and metrics are {limit}")
    chip = CHIP_BYTES.get(row.platform.partition(":")[0])
    if chip is not None and costs.peak_bytes > chip:
        faults.append(f"{title}: needs {costs.peak_bytes / GIB:.1f} GiB, the chip has {chip / GIB:.0f}")
    return faults


def fewest_devices(row: Row, rows: Sequence[Row]) -> Row | None:
    """Returns the same step on the fewest devices of the kind, unless that is this one."""
    kind = row.platform.partition(":")[0]
    same = [one for one in rows if one.case == row.case and one.platform.partition(":")[0] == kind]
    fewest = min(same, key=lambda one: one.devices)
    return None if fewest is row else fewest

"""Predicted step time on other machines, from compute, memory and communication at published rates.

A device is busy for the longer of FLOPs / peak rate and bytes / memory bandwidth. An all-reduce of B bytes
among n devices sends 2 B (n - 1) / n from each (Patarasuk and Yuan, 2009), here after the computation, as if
nothing overlapped. Real steps reach perhaps half of the peak rates, which lengthens computation more than
communication: the efficiency is a lower bound for these bandwidths, the speed an upper bound.
"""

from typing import NamedTuple


class Machine(NamedTuple):
    """Devices with published peak rates: FLOP/s in bfloat16, bytes/s of memory and of sending."""

    name: str
    devices: int
    flops: float
    memory: float
    exchange: float
    source: str


MACHINES = (
    # NVLink: 600 and 900 GB/s are the sum of both directions.
    Machine("A100 80GB SXM", 8, 312e12, 2039e9, 300e9, "nvidia.com/en-us/data-center/a100"),
    Machine("H100 SXM", 8, 989e12, 3350e9, 450e9, "nvidia.com/en-us/data-center/h100"),
    # 400 GB/s is the sum of both directions over the four links of a 2D torus.
    Machine("TPU v5e", 256, 197e12, 819e9, 200e9, "docs.cloud.google.com/tpu/docs/v5e"),
)


class Prediction(NamedTuple):
    """Seconds of the parts of a step, and the efficiency compared with a single device."""

    compute: float
    memory: float
    exchange: float

    @property
    def step(self) -> float:
        """Duration of the step."""
        return max(self.compute, self.memory) + self.exchange

    @property
    def efficiency(self) -> float:
        """Share of the step that is not communication."""
        return 1 - self.exchange / self.step


def predict(machine: Machine, *, flops: float, bytes_accessed: float, exchanged_bytes: float) -> Prediction:
    """Predict a step with these costs on each device of the machine."""
    sent = 2 * exchanged_bytes * (machine.devices - 1) / machine.devices
    return Prediction(flops / machine.flops, bytes_accessed / machine.memory, sent / machine.exchange)

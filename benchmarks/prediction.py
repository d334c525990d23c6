"""A step's time on machines that are not here, on paper: arithmetic, memory and exchange at full bandwidth.

A device is busy for the longer of FLOPs / peak and bytes / memory bandwidth. All-reducing B bytes among n
devices moves 2 B (n - 1) / n through each of them (Patarasuk and Yuan, 2009), here after the step's
arithmetic, as if none of it overlapped. Real steps reach perhaps half of the peaks, which lengthens the step
more than the exchange: the efficiency is a lower bound of what these bandwidths allow, the time an upper
bound of the speed.
"""

from typing import NamedTuple


class Machine(NamedTuple):
    """Devices and their published peaks: FLOP/s in bfloat16, bytes/s of memory and of sending to others."""

    name: str
    devices: int
    flops: float
    memory: float
    exchange: float
    source: str


MACHINES = (
    # NVLink: 600 and 900 GB/s are both directions together.
    Machine("A100 80GB SXM", 8, 312e12, 2039e9, 300e9, "nvidia.com/en-us/data-center/a100"),
    Machine("H100 SXM", 8, 989e12, 3350e9, 450e9, "nvidia.com/en-us/data-center/h100"),
    # 400 GB/s, both directions together, over the four links of a 2D torus.
    Machine("TPU v5e", 256, 197e12, 819e9, 200e9, "docs.cloud.google.com/tpu/docs/v5e"),
)


class Prediction(NamedTuple):
    """Seconds of one step's parts, and the share of one device's speed that each of many keeps."""

    compute: float
    memory: float
    exchange: float

    @property
    def step(self) -> float:
        """The whole step."""
        return max(self.compute, self.memory) + self.exchange

    @property
    def efficiency(self) -> float:
        """How much of the step is not exchange."""
        return 1 - self.exchange / self.step


def predict(machine: Machine, *, flops: float, bytes_accessed: float, exchanged_bytes: float) -> Prediction:
    """The step with these costs on each device of the machine."""
    sent = 2 * exchanged_bytes * (machine.devices - 1) / machine.devices
    return Prediction(flops / machine.flops, bytes_accessed / machine.memory, sent / machine.exchange)

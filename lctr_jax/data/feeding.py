"""Choose the number of data workers, and check that the machine has enough resources for them.

Workers pass batches through shared memory. If that runs out, the kernel kills them with SIGBUS, so it is
checked before any worker is started.
"""

import dataclasses
from collections.abc import Sequence

from lctr_jax.host import open_files, resources

AUTO = "auto"
MOST = 64
"""With more workers, one process cannot consume their batches."""

_BATCHES_PER_WORKER, _BATCHES_BESIDE = 3, 6
"""Per worker: two batches in its buffer and one being passed on. Besides: batches waiting for the devices."""

_WORKER_MEMORY = 300 << 20
_FILES_PER_WORKER, _FILES_BESIDE = 24, 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostResources:
    """Resources of a host for this run's processes on it.

    Attributes:
        cores: this process's share of the usable cores.
        processes: processes of this run on the host, including this one.
        shared_memory: free bytes.
        memory: available bytes; None if unknown.
        open_files: how many more files this process may open.
    """

    cores: int
    processes: int
    shared_memory: int
    memory: int | None
    open_files: int


@dataclasses.dataclass(frozen=True)
class Workers:
    """The number of worker processes to start, and the reason in words."""

    count: int
    reason: str

    def __str__(self) -> str:
        return f"data workers: {self.count or 'none, threads of this process read'} ({self.reason})"


def measure_resources(*, processes: int, sharing_cores: int) -> HostResources:
    """Measure the resources of this host for each process; raises the limit on open files first."""
    return HostResources(
        cores=max(1, resources.usable_cores() // sharing_cores),
        processes=processes,
        shared_memory=resources.free_shared_memory(),
        memory=resources.available_memory(),
        open_files=open_files.raise_limit() - open_files.count_open(),
    )


def choose_workers(
    option: int | str, host: HostResources, *, batch_bytes: Sequence[int], on_cpu: bool
) -> Workers:
    """Choose the number of workers for `data.num_workers`.

    Args:
        option: a number, or "auto".
        host: resources of the host.
        batch_bytes: bytes of one batch of this process, one entry per pipeline that may run concurrently.
        on_cpu: whether the network runs on the CPU; "auto" then leaves the cores to it.

    Raises:
        ValueError: there are not enough resources for the requested number; the message names the remedy.
    """
    limits = _limits(host, batch_bytes)
    if option != AUTO:
        asked = int(option)
        for short in limits:
            if asked > short.workers:
                raise ValueError(f"data.num_workers: {short.explain(asked)}")
        return Workers(asked, "data.num_workers")
    if on_cpu:
        return Workers(0, "auto: the network computes on the same cores")
    by_cores = min(host.cores, MOST)
    tightest = min(limits, key=lambda limit: limit.workers)
    cores = f"auto: {host.cores} cores" + (" for this process" if host.processes > 1 else "")
    if tightest.workers >= by_cores:
        return Workers(by_cores, cores)
    return Workers(tightest.workers, f"{cores}, but {tightest.explain(by_cores)}")


@dataclasses.dataclass(frozen=True)
class _Limit:
    """The number of workers that one resource allows."""

    workers: int
    what: str
    remedy: str
    per_worker: int
    beside: int
    left: int
    unit: str

    def explain(self, wanted: int) -> str:
        need = self.beside + wanted * self.per_worker
        if self.unit == "MB":
            amounts = f"need {need / 1e6:,.0f} MB, {self.left / 1e6:,.0f} MB are free"
        else:
            amounts = f"need {need:,}, {self.left:,} are left"
        fits = f"data.num_workers={self.workers}" + ("" if self.workers else ", threads instead")
        return f"{self.what}: {wanted} worker processes {amounts}; {self.remedy}, or {fits}"


def _limits(host: HostResources, batch_bytes: Sequence[int]) -> list[_Limit]:
    batch = sum(batch_bytes)
    needs = [
        (
            "shared memory (/dev/shm)",
            "enlarge it (docker run --shm-size=.. or --ipc=host; in Kubernetes an emptyDir of medium Memory)",
            (
                _BATCHES_PER_WORKER * batch,
                _BATCHES_BESIDE * batch,
                host.shared_memory // host.processes,
                "MB",
            ),
        ),
        (
            "open files",
            "allow more (ulimit -n 65536)",
            (_FILES_PER_WORKER, _FILES_BESIDE, host.open_files, ""),
        ),
    ]
    if host.memory is not None:
        share = host.memory // host.processes
        needs.append(
            ("memory", "use a larger machine", (_WORKER_MEMORY + batch, _BATCHES_BESIDE * batch, share, "MB"))
        )
    return [
        _Limit(max(0, (left - beside) // each), what, remedy, each, beside, left, unit)
        for what, remedy, (each, beside, left, unit) in needs
    ]

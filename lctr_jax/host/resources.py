"""The number of usable cores, and available memory and shared memory."""

import math
import os
import re
from pathlib import Path

from lctr_jax.host import cgroups

SHARED_MEMORY = Path("/dev/shm")


def usable_cores() -> int:
    """Return the number of cores in this process's affinity mask, or fewer under a CPU quota."""
    cores = len(os.sched_getaffinity(0))
    quota = cgroups.cpu_quota()
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def available_memory() -> int | None:
    """Return the number of bytes that can be allocated without swapping; None if unknown."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    known = [1024 * int(found.group(1))] if found else []
    left = cgroups.memory_left()
    return min([*known, *([] if left is None else [left])], default=None)


def free_shared_memory(folder: Path = SHARED_MEMORY) -> int:
    """Return the number of bytes free in shared memory; 0 if there is none or it is not writable."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize if os.access(folder, os.W_OK) else 0

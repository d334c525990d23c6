"""How many cores this process may use, and how much memory and shared memory is left."""

import math
import os
import re
from pathlib import Path

from lctr_jax.host import cgroups

SHARED_MEMORY = Path("/dev/shm")


def usable_cores() -> int:
    """The cores of this process's affinity mask, or fewer where a control group has a smaller quota."""
    cores = len(os.sched_getaffinity(0))
    quota = cgroups.cpu_quota()
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not say."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    known = [1024 * int(found.group(1))] if found else []
    left = cgroups.memory_left()
    return min([*known, *([] if left is None else [left])], default=None)


def free_shared_memory(folder: Path = SHARED_MEMORY) -> int:
    """Bytes free in shared memory; 0 where there is none or it cannot be written to."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize if os.access(folder, os.W_OK) else 0

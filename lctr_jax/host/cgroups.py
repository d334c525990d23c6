"""CPU quota and memory limits of this process's control groups, as set by a container or scheduler.

Version 2 has one tree with `cpu.max` and `memory.max`, version 1 one tree per controller. A group's limit
also applies to the groups below it, so all groups up to the root are read.
"""

from collections.abc import Iterator
from pathlib import Path

_ROOT, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of the page size."""


def cpu_quota(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """Return the smallest CPU quota in cores; None without a quota."""
    quotas = []
    for folder in _groups("cpu", root, own):
        match _read(folder / "cpu.max").split():
            case [quota, period] if quota != "max":
                quotas.append(int(quota) / int(period))
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota and period and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_left(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """Return the least number of bytes left below a limit, not counting file caches; None without a limit."""
    left = []
    for folder in _groups("memory", root, own):
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            highest, used = _read(folder / limit), _read(folder / usage)
            if highest.isdecimal() and used.isdecimal() and int(highest) < _NO_LIMIT:
                left.append(int(highest) - int(used) + _reclaimable(folder))
    return min(left, default=None)


def _reclaimable(folder: Path) -> int:
    lines = (line.split() for line in _read(folder / "memory.stat").splitlines())
    return sum(int(value) for name, value in lines if name in ("inactive_file", "total_inactive_file"))


def _groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """Yield this process's group and all above it. In a container its path may not exist below the root."""
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        folder = top / path.strip("/")
        yield from (group for group in (folder, *folder.parents) if group == top or top in group.parents)
        if controllers:  # "cpu,cpuacct" is usually also reachable as "cpu"
            yield root / controller


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

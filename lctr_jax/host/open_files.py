"""The limit on open files (`ulimit -n`): raise it as far as allowed, and stay below it."""

import os
import resource

_ENOUGH = 1 << 16
"""Some systems allow a billion, and programs that close every possible descriptor then take minutes."""


def raise_limit() -> int:
    """Raise this process's soft limit towards the hard one, for its children as well; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _ENOUGH if hard == unlimited else min(hard, _ENOUGH)
    if soft != unlimited and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # a sandbox may forbid even this
            return soft
        return wanted
    return _ENOUGH if soft == unlimited else soft


def count_open() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))

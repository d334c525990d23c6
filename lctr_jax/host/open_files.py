"""The limit on open files (`ulimit -n`)."""

import os
import resource

_ENOUGH = 1 << 16
"""Some systems allow a billion; programs that close every possible descriptor then take minutes."""


def raise_limit() -> int:
    """Raise this process's soft limit to the hard limit, for child processes as well; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _ENOUGH if hard == unlimited else min(hard, _ENOUGH)
    if soft != unlimited and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # some sandboxes forbid it
            return soft
        return wanted
    return _ENOUGH if soft == unlimited else soft


def count_open() -> int:
    """Return the number of descriptors that this process has open."""
    return len(os.listdir("/proc/self/fd"))

"""Every reader's cases."""

from benchmarks.fuzz import archives, config_flags, results

CASES = (*config_flags.CASES, *results.CASES, *archives.CASES)

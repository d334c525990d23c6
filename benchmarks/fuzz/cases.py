"""Every reader's cases."""

from benchmarks.fuzz import archives, box_lists, config_flags, images, results

CASES = (*box_lists.CASES, *images.CASES, *config_flags.CASES, *results.CASES, *archives.CASES)

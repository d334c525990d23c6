"""The cases of all readers."""

from benchmarks.fuzz import archives, box_lists, config_flags, images, results, tensors

CASES = (
    *box_lists.CASES,
    *images.CASES,
    *tensors.CASES,
    *config_flags.CASES,
    *results.CASES,
    *archives.CASES,
)

"""Which of many images are shown."""

import numpy as np


def spread_evenly(total: int, *, most: int) -> list[int]:
    """Return the indices of at most `most` of `total` images, evenly spaced from the first to the last."""
    return np.linspace(0, total - 1, min(total, most)).round().astype(int).tolist()

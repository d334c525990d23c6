"""Sums of all hosts."""

from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from lctr_jax.localization.content_free import ContentFreeSums
from lctr_jax.localization.sums import Sums

AnySums = TypeVar("AnySums", Sums, ContentFreeSums)


def gather_hosts(sums: AnySums) -> list[AnySums]:
    """Return every host's sums."""
    hosts = jax.process_count()
    if hosts == 1:
        return [sums]
    arrays: dict[str, np.ndarray] = vars(sums)
    # As pairs of 32 bits, because JAX's integers have 32 bits by default.
    words = {name: np.ascontiguousarray(value).reshape(-1).view(np.uint32) for name, value in arrays.items()}
    gathered = multihost_utils.process_allgather(words)
    everyones = {
        name: np.asarray(gathered[name]).reshape(hosts, 2 * value.size).view(np.int64)
        for name, value in arrays.items()
    }
    return [
        type(sums)(**{name: everyones[name][host].reshape(arrays[name].shape) for name in arrays})
        for host in range(hosts)
    ]

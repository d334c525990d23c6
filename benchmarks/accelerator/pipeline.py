"""Images per second that this host's cores decode and augment."""

import itertools
import time
from contextlib import closing
from typing import Any

from benchmarks.accelerator.scale import Scale
from benchmarks.photographs import photograph_records
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.feeding import MOST
from lctr_jax.data.pipeline import train_batches
from lctr_jax.host.resources import usable_cores

BATCH = 32


def cases(scale: Scale) -> list[Any]:
    """Return the number of worker processes: all usable cores, up to the limit of a run."""
    return [min(usable_cores(), MOST)]


def measure_pipeline(scale: Scale, case: Any) -> list[str]:
    """Measure the rate after consuming the batches that were prefetched before."""
    records = photograph_records(128) * 64
    batches = train_batches(
        records,
        batch_size=BATCH,
        image_size=224,
        seed=0,
        augmentation=Augmentation(),
        num_workers=case,
    )
    with closing(batches):
        one_core = batches.measure_rate(1.0)
        count = max(1, scale.images // BATCH)
        list(itertools.islice(batches, 4 * case))
        start = time.perf_counter()
        list(itertools.islice(batches, count))
        rate = count * BATCH / (time.perf_counter() - start)
    return [str(case), f"{rate:,.0f}", f"{one_core:,.0f}"]

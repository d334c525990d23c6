"""Batches for training and evaluation from a split, through Grain.

A training batch is a pure function of (seed, step). Hosts and workers only divide the work, so the sequence
of global batches does not depend on their number, and the state of an iterator is just its next step.
"""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
import numpy as np
from absl import flags
from grain.multiprocessing import SharedMemoryArray

from lctr_jax.data import sampling, workers
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.samples import CorruptPolicy, EvaluationSample, RecordSource, TrainSample
from lctr_jax.data.train_transforms import load_compiled

HostBatch = dict[str, Any]
HostShare = tuple[int, int]


class TrainIterator(grain.DatasetIterator[HostBatch]):
    """Endless training batches; the state is the next step, for any number of workers and hosts."""

    def __init__(
        self,
        samples: grain.MapDataset[dict[str, Any]],
        *,
        host_batch: int,
        num_workers: int,
        steps_per_epoch: int,
        load_compiled: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self._load_compiled = load_compiled
        self.steps_per_epoch = steps_per_epoch
        self._samples, self._host_batch = samples, host_batch
        self._batches: Any = samples.batch(host_batch)
        if num_workers:
            self._batches.enable_shared_memory_output()  # Grain would stack first, and then copy
        self._num_workers = num_workers
        self._next_step = 0
        self._prefetched: grain.DatasetIterator[HostBatch] | None = None

    def __next__(self) -> HostBatch:
        self._assert_not_closed()
        try:
            batch = self._start() if self._prefetched is None else next(self._prefetched)
        except Exception as error:
            self.close()  # stops the other workers; Grain stops only the one that failed
            workers.tell_loss(error)
            raise
        self._next_step += 1
        return batch

    def measure_rate(self, seconds: float) -> float:
        """Measure the images per second that one core decodes and augments, within that many seconds."""
        self._load_compiled()
        index, last = self._next_step * self._host_batch, len(self._samples)
        _ = self._samples[index % last]  # opens a shard
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            count += 1
            _ = self._samples[(index + count) % last]
        return count / spent

    def get_state(self) -> dict[str, int]:
        """Return the step of the next batch."""
        return {"next_step": self._next_step}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue at the step of `state`."""
        self._stop_prefetch()
        self._next_step = state["next_step"]

    def close(self) -> None:
        """Stop the workers."""
        self._stop_prefetch()
        super().close()

    def _start(self) -> HostBatch:
        self._prefetched = _prefetch(self._batches[self._next_step :], self._num_workers)
        with workers.hold_signals():  # the first batch starts the workers
            return next(self._prefetched)

    def _stop_prefetch(self) -> None:
        if self._prefetched is not None:
            self._prefetched.close()
        self._prefetched = None


def train_batches(
    split: RecordSource,
    *,
    batch_size: int,
    image_size: int,
    seed: int,
    augmentation: Augmentation,
    num_workers: int = 0,
    shard: HostShare = (0, 1),
    on_corrupt: CorruptPolicy = "error",
) -> TrainIterator:
    """Build an endless iterator over shuffled, augmented batches of {image, label, id, replaced}.

    A batch has `image` uint8 [b, size, size, 3], `label` int32 [b], `id` str [b] and `replaced` bool [b],
    where b is the host's contiguous part of the global batch. Every epoch has its own permutation and drops
    its last partial batch (see `sampling.steps_per_epoch`).

    Args:
        split: the records.
        batch_size: global batch size.
        image_size: side of the images in pixels.
        seed: determines order and augmentation.
        augmentation: augmentation on the host.
        num_workers: number of worker processes; 0 uses threads.
        shard: index of this host, and number of hosts.
        on_corrupt: "error" raises an error for a record that cannot be decoded; "skip" logs it, sets
            `replaced`, and uses the next readable record of the split, leaving all other samples unchanged.

    Raises:
        ValueError: the batch is larger than an epoch or not divisible among hosts, the policy is unknown or
            the seed does not fit in 32 bits; while iterating, a record is corrupt.
    """
    if on_corrupt not in ("error", "skip"):
        raise ValueError(f"on_corrupt: got {on_corrupt!r}, expected 'error' or 'skip'")
    repeats = augmentation.repeats
    steps = sampling.steps_per_epoch(num_examples=len(split), batch_size=batch_size, repeats=repeats)
    order = sampling.global_order(
        num_examples=len(split), steps=steps, batch_size=batch_size, repeats=repeats, seed=seed
    )
    # Grain's generator for `random_map` depends only on the seed and the global position.
    samples = order.random_map(TrainSample(split, augmentation, image_size, on_corrupt))
    local = sampling.HostChunk(samples, batch_size=batch_size, shard=shard)
    return TrainIterator(
        local,
        host_batch=sampling.per_host_batch_size(batch_size, shard),
        num_workers=num_workers,
        steps_per_epoch=steps,
        load_compiled=functools.partial(load_compiled, augmentation),
    )


def fixed_crops(
    split: RecordSource,
    *,
    crops: int,
    batch_size: int,
    image_size: int,
    augmentation: Augmentation,
    num_workers: int,
    on_corrupt: CorruptPolicy,
) -> TrainIterator:
    """Iterate over batches of `crops` random crops of every image, all images of a crop in order.

    The draws depend on the crop and the image only. The batches are as from `train_batches`; they start again
    after the last crop, also within a batch.
    """
    order = grain.MapDataset.range(len(split)).seed(0).repeat(crops)
    samples = order.random_map(TrainSample(split, augmentation, image_size, on_corrupt)).repeat()
    steps = -(-len(split) // batch_size)
    return TrainIterator(samples, host_batch=batch_size, num_workers=num_workers, steps_per_epoch=steps)


def evaluation_batches(
    split: RecordSource,
    *,
    batch_size: int,
    geometry: Geometry,
    num_workers: int = 0,
    shard: HostShare = (0, 1),
) -> Iterator[HostBatch]:
    """Iterate once and in order over {image, label, records}; every host gets the same number of batches.

    `image` uint8 [b, size, size, 3] and `label` int32 [b] are padded to the full batch with zeros and -1;
    `records` lists the real ones: dict(id, label, width, height, boxes_xyxy in original pixels, mask as bytes
    or None).

    Raises:
        ValueError: the batch is not divisible among hosts; while iterating, a record is corrupt.
    """
    num_batches = -(-len(split) // batch_size)
    samples = grain.MapDataset.range(num_batches * batch_size).map(EvaluationSample(split, geometry))
    local = sampling.HostChunk(samples, batch_size=batch_size, shard=shard)
    stack = functools.partial(_stack_evaluation, image_size=geometry.image_size, shared=num_workers > 0)
    batches = local.batch(sampling.per_host_batch_size(batch_size, shard), batch_fn=stack)
    return _drain(_prefetch(batches, num_workers))


def _drain(batches: grain.DatasetIterator[HostBatch]) -> Iterator[HostBatch]:
    """Yield all batches, and stop the workers in any case."""
    with contextlib.closing(batches):
        try:
            with workers.hold_signals():  # the first batch starts the workers
                first = list(itertools.islice(batches, 1))
            yield from itertools.chain(first, batches)
        except RuntimeError as error:
            workers.tell_loss(error)
            raise


def _stack_evaluation(
    samples: Sequence[dict[str, Any] | None], *, image_size: int, shared: bool
) -> HostBatch:
    real = [sample for sample in samples if sample is not None]
    shape = (len(samples), image_size, image_size, 3)
    # In shared memory, Grain passes it on to another process without a copy.
    images = SharedMemoryArray(shape, np.uint8) if shared else np.empty(shape, np.uint8)
    images[len(real) :] = 0
    labels = np.full(len(samples), -1, np.int32)
    for row, sample in enumerate(real):
        images[row] = sample["image"]
        labels[row] = sample["record"]["label"]
    return {"image": images, "label": labels, "records": [sample["record"] for sample in real]}


def _prefetch(batches: grain.MapDataset[HostBatch], num_workers: int) -> grain.DatasetIterator[HostBatch]:
    """Compute batches ahead of use, each in one thread or worker process, in order."""
    if num_workers and not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain reads its flags when it starts a process
    if num_workers:
        workers.free_shared_memory_at_exit()
    # Batches are large, so few are buffered. Without workers, two threads overlap decoding (which releases
    # the GIL) and Python; a worker needs none, and would leave a thread's batches behind in shared memory.
    threads = grain.ReadOptions(num_threads=0 if num_workers else 2, prefetch_buffer_size=2)
    processes = grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=2)
    begin = workers.begin if num_workers else None  # Grain warns about an init function without processes
    return iter(batches.to_iter_dataset(threads).mp_prefetch(processes, worker_init_fn=begin))

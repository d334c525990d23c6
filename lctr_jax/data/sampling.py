"""Which record goes where: pure index arithmetic, so that every host and worker agrees without talking.

Training samples have a global position 0, 1, 2, ... that runs through all epochs. The seed and the position
alone decide the record and its augmentation; hosts and workers only choose which positions they compute.
"""

from typing import TypeVar

import grain

T = TypeVar("T")

# More epochs than any run has. Grain's own endless repetition is as long as Python's largest index, and a
# batch of one on top of it, divided and rounded up as floats, one longer.
_EPOCHS = 2**24


def steps_per_epoch(*, num_examples: int, batch_size: int, repeats: int = 1) -> int:
    """Whole global batches in an epoch; the remainder is dropped, so that epochs begin with a batch.

    With repeated augmentation (`repeats` > 1) an epoch is the first floor(n / 256) * 256 samples of the
    permutation in which each index stands `repeats` times in a row (Hoffer et al., CVPR 2020; the multiple of
    256 as published). A data set of fewer than 256 examples keeps its own length.

    Raises:
      ValueError: when not even one batch can be filled.

    Examples:
      >>> steps_per_epoch(num_examples=5994, batch_size=512, repeats=3)  # CUB: floor(5888 / 512)
      11
    """
    epoch_length = num_examples if repeats == 1 else (num_examples - num_examples % 256) or num_examples
    if not 1 <= batch_size <= epoch_length:
        raise ValueError(
            f"batch_size: got {batch_size}, expected 1 to {epoch_length}, the samples in an epoch of "
            f"{num_examples} examples; lower the batch size or add data"
        )
    return epoch_length // batch_size


def global_order(
    *, num_examples: int, steps: int, batch_size: int, repeats: int, seed: int
) -> grain.MapDataset[int]:
    """Endless record indices by global position: `steps * batch_size` an epoch, freshly permuted each.

    Raises:
      ValueError: for a seed outside 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: got {seed}, expected 0 to {2**32 - 1}")
    order = grain.MapDataset.range(num_examples).seed(seed).shuffle()
    if repeats > 1:
        order = RepeatEach(order, repeats)
    return order[: steps * batch_size].repeat(_EPOCHS)


def per_host_batch_size(batch_size: int, shard: tuple[int, int]) -> int:
    """The host's share of a global batch.

    Raises:
      ValueError: when the batch does not divide or `shard` is not (index, count) with 0 <= index < count.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard: got {shard}, expected (index, count) with 0 <= index < count")
    if batch_size < 1 or batch_size % count:
        raise ValueError(f"batch_size: got {batch_size}, expected a positive multiple of the {count} hosts")
    return batch_size // count


class RepeatEach(grain.MapDataset[T]):
    """Each element of the parent `times` times in a row."""

    def __init__(self, parent: grain.MapDataset[T], times: int):
        super().__init__(parent)
        self._times = times

    def __len__(self) -> int:
        return len(self._parent) * self._times

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        return self._parent[index // self._times]


class HostChunk(grain.MapDataset[T]):
    """Of every `batch_size` elements of the parent, the contiguous chunk of one host."""

    def __init__(self, parent: grain.MapDataset[T], *, batch_size: int, shard: tuple[int, int]):
        super().__init__(parent)
        self._batch_size = batch_size
        self._chunk = per_host_batch_size(batch_size, shard)
        self._offset = shard[0] * self._chunk

    def __len__(self) -> int:
        return len(self._parent) // self._batch_size * self._chunk

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        step, within = divmod(index, self._chunk)
        return self._parent[step * self._batch_size + self._offset + within]

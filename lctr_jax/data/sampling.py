"""The order of records: pure index arithmetic, so that hosts and workers agree without communication.

Training samples have a global position 0, 1, 2, ... across all epochs. The seed and the position alone
determine the record and its augmentation; hosts and workers only compute different positions.
"""

from typing import Any, TypeVar

import grain

T = TypeVar("T")

# More epochs than any run needs. Grain's endless repetition has Python's largest index as its length, which
# overflows when batch computes the number of batches with floats.
_EPOCHS = 2**24


def steps_per_epoch(*, num_examples: int, batch_size: int, repeats: int = 1) -> int:
    """Return the number of whole global batches in an epoch; the remainder is dropped.

    With repeated augmentation (`repeats` > 1) an epoch is the first floor(n / 256) * 256 samples of the
    permutation in which each index occurs `repeats` times in a row (Hoffer et al., CVPR 2020; the multiple of
    256 as published). A data set of fewer than 256 examples keeps its length.

    Raises:
        ValueError: not even one batch can be filled.

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
    """Return endless record indices by global position: `steps * batch_size` per epoch, each newly permuted.

    Raises:
        ValueError: the seed does not fit in 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: got {seed}, expected 0 to {2**32 - 1}")
    order = grain.MapDataset.range(num_examples).seed(seed).shuffle()
    if repeats > 1:
        order = RepeatEach(order, repeats)
    return order[: steps * batch_size].repeat(_EPOCHS)


def per_host_batch_size(batch_size: int, shard: tuple[int, int]) -> int:
    """Return the host's share of a global batch.

    Raises:
        ValueError: the batch is not divisible, or `shard` is not (index, count) with 0 <= index < count.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard: got {shard}, expected (index, count) with 0 <= index < count")
    if batch_size < 1 or batch_size % count:
        raise ValueError(f"batch_size: got {batch_size}, expected a positive multiple of the {count} hosts")
    return batch_size // count


class RepeatEach(grain.MapDataset[T]):
    """Repeats each element of the parent `times` times in a row; the parent's last element is kept."""

    def __init__(self, parent: grain.MapDataset[T], times: int):
        super().__init__(parent)
        self._times = times
        self._last: tuple[int, T] | None = None

    def __len__(self) -> int:
        return len(self._parent) * self._times

    def __getitem__(self, index) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  one of grain's
        if isinstance(index, slice):
            return self.slice(index)
        place, last = index // self._times, self._last
        if last is None or last[0] != place:
            self._last = last = (place, self._parent[place])
        return last[1]


class HostChunk(grain.MapDataset[T]):
    """Selects one host's contiguous part of every `batch_size` elements of the parent."""

    def __init__(self, parent: grain.MapDataset[T], *, batch_size: int, shard: tuple[int, int]):
        super().__init__(parent)
        self._batch_size = batch_size
        self._chunk = per_host_batch_size(batch_size, shard)
        self._offset = shard[0] * self._chunk

    def __len__(self) -> int:
        return len(self._parent) // self._batch_size * self._chunk

    def __getitem__(self, index):  # pyright: ignore[reportIncompatibleMethodOverride]  one for grain's overloads
        if isinstance(index, slice):
            return self.slice(index)
        step, within = divmod(index, self._chunk)
        return self._parent[step * self._batch_size + self._offset + within]

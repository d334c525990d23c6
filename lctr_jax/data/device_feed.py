"""Prefetch batches to the devices, keeping the iterator state exact."""

from collections.abc import Callable
from typing import Any

import grain


class _Placed(grain.DatasetIterator[Any]):
    """The parent's batches after `put`."""

    def __init__(self, parent: grain.DatasetIterator[Any], put: Callable[[Any], Any]):
        super().__init__(parent)
        self._put = put

    def __next__(self) -> Any:
        return self._put(next(self._parent))

    def get_state(self) -> dict[str, Any]:
        return self._parent.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._parent.set_state(state)


def device_prefetch(
    batches: grain.DatasetIterator[Any], put: Callable[[Any], Any], *, buffer_size: int = 2
) -> grain.DatasetIterator[Any]:
    """Apply `put` (host batch to device batch) in a thread, up to `buffer_size` batches ahead.

    `get_state` refers to the last batch returned, not to those in the buffer, so a restored run continues
    with the next batch. `close` stops the thread and the workers of `batches`.
    """
    return grain.experimental.ThreadPrefetchDatasetIterator(
        _Placed(batches, put), prefetch_buffer_size=buffer_size
    )

"""Read records by index from ArrayRecord shards, with a bounded number of open files.

array_record's own data source keeps every shard open that was ever read, in every worker process: ImageNet's
shards alone exceed the usual limit of 1,024 open files.
"""

import bisect
import collections
import dataclasses
import itertools
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import SupportsIndex

from array_record.python.array_record_module import ArrayRecordReader

from lctr_jax.host import open_files

_FEWEST = 8
_OPTIONS = "readahead_buffer_size:0"  # random access gains nothing from read-ahead
_BUFFER_BYTES = 32768

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ShardSlice:
    """The records of one shard that belong to a split: `count` records starting at `first`."""

    path: str
    first: int
    count: int


class ShardRecords(Sequence[bytes]):
    """The encoded records of a split; cheap to pickle, safe to read from several threads."""

    def __init__(self, shards: Sequence[ShardSlice]):
        self._shards = list(shards)
        self._ends = list(itertools.accumulate(shard.count for shard in shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: SupportsIndex) -> bytes:  # pyright: ignore[reportIncompatibleMethodOverride]
        position = index.__index__()
        if not 0 <= position < len(self):
            raise IndexError(f"record {position} of {len(self)}")
        number = bisect.bisect_right(self._ends, position)
        shard = self._shards[number]
        record = shard.first + position - (self._ends[number] - shard.count)
        return _READERS.read(shard.path, record)

    def __getitems__(self, indices: Sequence[int]) -> list[bytes]:
        """Return the records at several indices."""
        return [self[index] for index in indices]


class OpenReaders:
    """The readers that a process has open, for all its splits; the least recently used one is closed first.

    A reader that another thread is still using is closed when its last reference is released.
    """

    def __init__(self, capacity: int | None = None):
        self._capacity = capacity
        self._open: collections.OrderedDict[str, ArrayRecordReader] = collections.OrderedDict()
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """Number of readers that may be open: half of the limit; the rest is for pipes and other files."""
        if self._capacity is None:
            self._capacity = max(_FEWEST, open_files.raise_limit() // 2)
        return self._capacity

    def read(self, path: str, record: int) -> bytes:
        """Return one record of a shard.

        Raises:
            OSError: the shard cannot be opened, or the record cannot be read.
        """
        try:
            return self._reader(path).read([record])[0]
        except (RuntimeError, IndexError, ValueError) as error:  # errors of the C++ library
            raise OSError(
                f"{path}: record {record} cannot be read: {error}; if the file is damaged, prepare the data "
                "set again with --overwrite"
            ) from error

    def _reader(self, path: str) -> ArrayRecordReader:
        with self._lock:
            reader = self._open.pop(path, None)
            if reader is None:
                while len(self._open) >= self.capacity:
                    self._open.popitem(last=False)
                reader = _open(path)
                if (
                    not reader.ok() and len(self._open) > _FEWEST
                ):  # something else has used the descriptors up
                    self._capacity = max(_FEWEST, len(self._open) // 2)
                    while len(self._open) >= self._capacity:
                        self._open.popitem(last=False)
                    reader = _open(path)
                if not reader.ok():
                    return reader  # not cached; reading from it raises the error
            self._open[path] = reader
            return reader


_READERS = OpenReaders()


def tell_limit(name: str, num_shards: int) -> None:
    """Warn if not all of a split's shards can be open at once, which is slower."""
    if num_shards > (capacity := _READERS.capacity):
        _log.warning(
            "open files: %s has %s shards and this process may open %s files, so only %s shards are open at "
            "a time and others are reopened when they are read, which is slower; raise it: ulimit -n %s",
            *(name, f"{num_shards:,}", f"{2 * capacity:,}", f"{capacity:,}", 2 * num_shards + 256),
        )


def _open(path: str) -> ArrayRecordReader:
    return ArrayRecordReader(str(Path(path)), options=_OPTIONS, file_reader_buffer_size=_BUFFER_BYTES)

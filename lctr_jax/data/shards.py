"""Write items to ArrayRecord shards, in parallel and resumable, checking every item.

TFDS's own writers need TensorFlow for splits above a gigabyte, use one core, and start over after a failure.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from rich.console import Console
from rich.progress import Progress

from lctr_jax.data import image_decoding, records
from lctr_jax.data.checks import BadRecordsError, Checks, Inspection
from lctr_jax.json_objects import read_object

_SHARD_BYTES = 128 << 20
_MOST_SHARDS = 256
"""A reader opens every shard, and 1,024 files is a common limit per process."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """A sequence of items in one file, whose name is a hash of its content."""

    items: tuple[records.Item, ...]

    @property
    def name(self) -> str:
        """A hash of all items, by which a finished shard of an earlier attempt is recognized."""
        return hashlib.sha256(b"".join(item.digest() for item in self.items)).hexdigest()[:32]

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Return the paths of the shard and of its counts of noteworthy items."""
        name = self.name
        return folder / name, folder / f"{name}.json"


def cut(items: Sequence[records.Item]) -> list[Shard]:
    """Divide a split into shards of about 128 MiB, or larger ones to limit their number."""
    total = sum(item.image.size for item in items)
    count = min(max(1, round(total / _SHARD_BYTES)), _MOST_SHARDS, len(items))
    edges = [round(len(items) * shard / count) for shard in range(count + 1)]
    return [Shard(tuple(items[start:stop])) for start, stop in itertools.pairwise(edges)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardWriter:
    """Settings for writing shards.

    Attributes:
        checks: checks of every item.
        num_processes: number of writing processes.
        read_mask: converts a mask's bytes before they are stored.
    """

    checks: Checks
    num_processes: int
    read_mask: Callable[[bytes], bytes]

    def write(
        self, shards: Sequence[Shard], folder: Path, *, features: tfds.features.FeaturesDict, title: str
    ) -> None:
        """Write every shard to `folder/NAME`, skipping those finished by an earlier attempt.

        Counts of noteworthy items are stored in `folder/NAME.json`.

        Raises:
            BadRecordsError: items failed their checks; shards without problems are kept for the next attempt.
        """
        folder.mkdir(parents=True, exist_ok=True)
        todo = [shard for shard in shards if not all(map(Path.exists, shard.files(folder)))]
        problems: list[str] = []
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task(title, total=sum(len(shard.items) for shard in shards))
            progress.advance(bar, sum(len(s.items) for s in shards) - sum(len(s.items) for s in todo))
            write_one = functools.partial(self._write_one, folder=folder, features=features)
            for shard, found in zip(todo, _map(write_one, todo, self.num_processes), strict=True):
                problems += found
                progress.advance(bar, len(shard.items))
        if problems:
            raise BadRecordsError(problems)

    def _write_one(self, shard: Shard, *, folder: Path, features: tfds.features.FeaturesDict) -> list[str]:
        """Write a shard and return the problems of its items; a shard with problems is deleted."""
        unfinished = folder / f"{shard.name}.{os.getpid()}.unfinished"
        writer = ArrayRecordWriter(str(unfinished), "group_size:1")
        problems: list[str] = []
        counts: Counter[str] = Counter()
        for item in shard.items:
            image = item.image.read()
            mask = b""
            try:
                mask = self.read_mask(item.mask.read()) if item.mask else mask
                found = self.checks.inspect(item, image, mask)
            except image_decoding.CorruptImageError as error:
                found = Inspection(f"{item.id}: mask: {error}")
            if found.problem:
                problems.append(found.problem)
                continue
            counts.update(found.kinds)
            record = {"image": image, "id": item.id, "label": item.label, "boxes_xyxy": item.boxes_xyxy}
            writer.write(features.serialize_example(record | ({"mask": mask} if "mask" in features else {})))
        writer.close()
        if problems:
            unfinished.unlink()
        else:
            (folder / f"{shard.name}.json").write_text(json.dumps(counts))
            unfinished.replace(folder / shard.name)
        return problems


def read_counts(shards: Sequence[Shard], folder: Path) -> Counter[str]:
    """Return the total counts of noteworthy items in these shards."""
    return sum((Counter(read_object(folder / f"{shard.name}.json")) for shard in shards), Counter())


def _map(function: Callable[[Shard], list[str]], shards: Sequence[Shard], num_processes: int) -> Iterator:
    size = sum(item.image.size for shard in shards for item in shard.items)
    if num_processes <= 1 or size < _SHARD_BYTES:  # starting processes would take longer than writing
        yield from map(function, shards)
        return
    context = multiprocessing.get_context("spawn")  # fork would break threads of the parent
    with concurrent.futures.ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        yield from pool.map(function, shards)

"""Write items to ArrayRecord shards: in parallel, resumable, every item checked on the way.

TFDS's own writers need TensorFlow once a split exceeds a gigabyte, use one core, and start over after a
failure.
"""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from rich.console import Console
from rich.progress import Progress

from lctr_jax.data import records
from lctr_jax.data.checks import BadRecordsError, Checks

_SHARD_BYTES = 128 << 20


@dataclasses.dataclass(frozen=True)
class Shard:
    """A run of items that share a file, named after everything that is in it."""

    items: tuple[records.Item, ...]

    @property
    def name(self) -> str:
        """Change with any item, so that a finished shard of an earlier try is known to be the same."""
        return hashlib.sha256(b"".join(item.digest() for item in self.items)).hexdigest()[:32]


def cut(items: Sequence[records.Item]) -> list[Shard]:
    """Cut a split into shards of about 128 MiB."""
    total = sum(item.image.size for item in items)
    count = min(max(1, round(total / _SHARD_BYTES)), len(items))
    edges = [round(len(items) * shard / count) for shard in range(count + 1)]
    return [Shard(tuple(items[start:stop])) for start, stop in itertools.pairwise(edges)]


def write(
    shards: Sequence[Shard],
    folder: Path,
    *,
    features: tfds.features.FeaturesDict,
    checks: Checks,
    num_processes: int,
    title: str,
) -> None:
    """Write every shard to `folder/NAME`, skipping those that an earlier try has finished.

    Raises:
        BadRecordsError: items failed their checks; the sound shards stay for the next try.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = [shard for shard in shards if not (folder / shard.name).exists()]
    problems: list[str] = []
    console = Console(stderr=True)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(title, total=sum(len(shard.items) for shard in shards))
        progress.advance(bar, sum(len(shard.items) for shard in shards) - sum(len(s.items) for s in todo))
        jobs = [(shard, folder, features, checks) for shard in todo]
        for shard, found in zip(todo, _map(_write_shard, jobs, num_processes), strict=True):
            problems += found
            progress.advance(bar, len(shard.items))
    if problems:
        raise BadRecordsError(problems)


def _map(function, jobs, num_processes):
    if num_processes <= 1 or len(jobs) <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")  # the parent may hold threads, which fork would break
    with concurrent.futures.ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        yield from pool.map(function, jobs)


def _write_shard(job: tuple[Shard, Path, tfds.features.FeaturesDict, Checks]) -> list[str]:
    shard, folder, features, checks = job
    unfinished = folder / f"{shard.name}.{os.getpid()}.unfinished"
    writer = ArrayRecordWriter(str(unfinished), "group_size:1")
    problems = []
    for item in shard.items:
        image = item.image.read()
        mask = item.mask.read() if item.mask else None
        if problem := checks.problem(item, image, mask):
            problems.append(problem)
            continue
        record = {"image": image, "id": item.id, "label": item.label, "boxes_xyxy": item.boxes_xyxy}
        if "mask" in features:
            record["mask"] = mask or b""  # some splits of a dataset may have masks and others none
        writer.write(features.serialize_example(record))
    writer.close()
    if problems:
        unfinished.unlink()
    else:
        unfinished.replace(folder / shard.name)
    return problems

"""Shards are read with a bounded number of open files."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from lctr_jax.data import shards
from lctr_jax.data.records import ByteRange, Item
from lctr_jax.data.shard_reader import OpenReaders, ShardRecords, ShardSlice
from lctr_jax.host import open_files

NUM_SHARDS, EACH = 40, 3


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """Forty shards of three records, of which a split takes the last two."""
    folder = tmp_path_factory.mktemp("shards")
    for number in range(NUM_SHARDS):
        writer = ArrayRecordWriter(str(folder / str(number)), "group_size:1")
        for record in range(EACH):
            writer.write(f"{number}.{record}".encode())
        writer.close()
    return [ShardSlice(str(folder / str(number)), 1, EACH - 1) for number in range(NUM_SHARDS)]


EXPECTED = [f"{number}.{record}".encode() for number in range(NUM_SHARDS) for record in range(1, EACH)]


def test_records_come_in_order_also_after_pickling(slices):
    records = pickle.loads(pickle.dumps(ShardRecords(slices)))
    assert len(records) == len(EXPECTED)
    assert [records[index] for index in range(len(records))] == EXPECTED
    assert records.__getitems__([5, 0]) == [EXPECTED[5], EXPECTED[0]]
    with pytest.raises(IndexError):
        records[len(records)]


def test_no_more_files_are_open_than_allowed_and_threads_may_share_them(slices):
    readers, before = OpenReaders(capacity=4), open_files.count_open()
    order = np.random.default_rng(0).integers(0, NUM_SHARDS, 400).tolist()
    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(lambda number: readers.read(slices[number].path, 1), order))
    assert read == [f"{number}.1".encode() for number in order]
    assert open_files.count_open() <= before + 4


LIMITED = """
import pickle, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
from lctr_jax.data.shard_reader import tell_limit
records = pickle.load(open(sys.argv[1], "rb"))
tell_limit("data train", 40)
print(b" ".join(records[index] for index in range(len(records))).decode())
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("soft", "hard", "said"), [(32, 32, True), (32, 200, False)])
def test_many_shards_under_a_low_limit(slices, tmp_path, soft, hard, said):
    (tmp_path / "records").write_bytes(pickle.dumps(ShardRecords(slices)))
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "records"), str(soft), str(hard)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, limit = done.stdout.splitlines()
    assert read.encode().split() == EXPECTED
    assert int(limit) == hard
    assert ("open files: data train has 40 shards" in done.stderr) == said
    assert ("ulimit -n 336" in done.stderr) == said


USED_UP = """
import os, pickle, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from lctr_jax.data.shard_reader import OpenReaders
slices = pickle.load(open(sys.argv[1], "rb"))
others = [os.open(os.devnull, os.O_RDONLY) for _ in range(30)]
readers = OpenReaders(capacity=len(slices))
print(b" ".join(readers.read(each.path, 0) for each in slices).decode())
"""


def test_descriptors_that_others_use_up_are_made_do_without(slices, tmp_path):
    (tmp_path / "slices").write_bytes(pickle.dumps(slices))
    command = [sys.executable, "-c", USED_UP, str(tmp_path / "slices")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"{number}.0" for number in range(NUM_SHARDS)]


def test_a_missing_shard_is_named(tmp_path):
    records = ShardRecords([ShardSlice(str(tmp_path / "gone"), 0, 1)])
    with pytest.raises(OSError, match=r"gone: record 0 cannot be read: .*No such file"):
        records[0]


def test_imagenet_is_cut_into_fewer_shards_than_a_process_may_open():
    image = ByteRange("image", 0, 1 << 20, 0)
    items = [Item(str(number), 0, image) for number in range(140_000)]  # 137 GB, as ImageNet's images are
    cut = shards.cut(items)
    assert len(cut) == 256
    assert sum(len(shard.items) for shard in cut) == len(items)

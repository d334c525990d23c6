"""Epoch lengths, repeated augmentation and host chunks against plain lists."""

import itertools

import grain
import pytest

from lctr_jax.data.sampling import HostChunk, RepeatEach, global_order, steps_per_epoch


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "repeats", "steps"),
    [
        (5994, 512, 3, 11),  # CUB as published: floor(5994 / 256) * 256 = 5888 samples
        (1281167, 1024, 3, 1251),  # ILSVRC as published
        (5994, 512, 1, 11),
        (100, 10, 1, 10),
        (109, 10, 1, 10),
        (100, 10, 3, 10),
    ],
)
def test_steps_per_epoch(num_examples, batch_size, repeats, steps):
    assert steps_per_epoch(num_examples=num_examples, batch_size=batch_size, repeats=repeats) == steps


@pytest.mark.parametrize("batch_size", [0, 257])
def test_a_batch_larger_than_an_epoch_is_refused(batch_size):
    with pytest.raises(ValueError, match="expected 1 to 256"):
        steps_per_epoch(num_examples=300, batch_size=batch_size, repeats=3)


def test_repeated_augmentation_repeats_each_index_in_a_row_and_reseeds_every_epoch():
    order = global_order(num_examples=300, steps=8, batch_size=32, repeats=3, seed=7)
    epochs = [[order[epoch * 256 + i] for i in range(256)] for epoch in range(4)]
    for epoch in epochs:
        runs = [list(run) for _, run in itertools.groupby(epoch)]
        assert [len(run) for run in runs] == [3] * 85 + [1]
        assert len({run[0] for run in runs}) == 86
    assert len({tuple(epoch) for epoch in epochs}) == 4
    # A fixed third of the data would never cover the rest.
    many = {order[i] for i in range(256 * 20)}
    assert many == set(range(300))


def test_repeat_each():
    assert list(RepeatEach(grain.MapDataset.range(3), 2)) == [0, 0, 1, 1, 2, 2]


def test_host_chunks_tile_every_batch():
    shares = [list(HostChunk(grain.MapDataset.range(12), batch_size=6, shard=(host, 3))) for host in range(3)]
    assert shares == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]

"""Batches are prefetched to the device, and the state refers to the last batch that was used."""

import itertools
import threading
import time

import grain
import pytest

from lctr_jax.data.device_feed import device_prefetch


class Counting(grain.DatasetIterator[int]):
    """0, 1, 2, ...: the state is the next number; remembers how far it was read."""

    def __init__(self):
        super().__init__()
        self.next_value = 0
        self.was_closed = False

    def __next__(self) -> int:
        self.next_value += 1
        return self.next_value - 1

    def get_state(self):
        return {"next_number": self.next_value}

    def set_state(self, state):
        self.next_value = state["next_number"]

    def close(self):
        self.was_closed = True
        super().close()


def test_batches_are_put_in_order_and_in_another_thread():
    threads = set()

    def put(number):
        threads.add(threading.get_ident())
        return f"device {number}"

    with_closing = device_prefetch(Counting(), put)
    assert list(itertools.islice(with_closing, 3)) == ["device 0", "device 1", "device 2"]
    with_closing.close()
    assert threading.get_ident() not in threads


def test_it_reads_ahead_but_the_state_does_not():
    counting = Counting()
    batches = device_prefetch(counting, lambda number: number, buffer_size=2)
    assert batches.get_state() == {"next_number": 0}
    next(batches)
    deadline = time.monotonic() + 5
    while counting.next_value < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counting.next_value >= 3  # one used, two waiting
    assert batches.get_state() == {"next_number": 1}
    batches.close()


def test_a_restored_feed_continues_with_the_very_next_batch():
    batches = device_prefetch(Counting(), lambda number: number)
    used = [next(batches) for _ in range(4)]
    state = batches.get_state()
    batches.close()
    resumed = device_prefetch(Counting(), lambda number: number)
    resumed.set_state(state)
    used += [next(resumed) for _ in range(4)]
    resumed.set_state(state)
    assert next(resumed) == 4
    resumed.close()
    assert used == list(range(8))


def test_an_error_of_the_pipeline_reaches_the_training_loop():
    def fail(number):
        raise ValueError(f"record {number} is corrupt")

    batches = device_prefetch(Counting(), fail)
    with pytest.raises(ValueError, match="record 0 is corrupt"):
        next(batches)
    batches.close()


def test_closing_closes_the_source():
    counting = Counting()
    batches = device_prefetch(counting, lambda number: number)
    next(batches)
    batches.close()
    assert counting.was_closed

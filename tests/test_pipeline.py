"""Batches: one sequence for any number of workers and hosts, resumption, padding, corrupt records."""

import io
import itertools
import json

import numpy as np
import pytest
from grain.multiprocessing import SharedMemoryArray
from PIL import Image
from small_batches import SIZE, SPLIT, assert_same_batches, make_split, take, training

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.geometry import Geometry
from lctr_jax.data.pipeline import evaluation_batches
from lctr_jax.data.samples import TrainSample


@pytest.fixture(scope="module")
def reference():
    """Seven steps: three epochs and a bit of 11 examples in batches of 4."""
    return take(training(), 7)


def test_batches_hold_what_the_contract_says(reference):
    for batch in reference:
        assert (batch["image"].shape, batch["image"].dtype) == ((4, SIZE, SIZE, 3), np.uint8)
        assert (batch["label"].shape, batch["label"].dtype) == ((4,), np.int32)
        for label, name in zip(batch["label"], batch["id"], strict=True):
            assert label == int(name.removeprefix("images/").removesuffix(".png")) % 3
        assert not batch["replaced"].any()


def test_an_epoch_never_repeats_a_record_and_every_epoch_is_another_order(reference):
    epochs = [np.concatenate([batch["id"] for batch in reference[start : start + 2]]) for start in (0, 2, 4)]
    for epoch in epochs:
        assert len(set(epoch)) == 8
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_record_seen_again_is_augmented_afresh(reference):
    augmented: dict[str, list] = {}
    for batch in reference:
        for name, image in zip(batch["id"], batch["image"], strict=True):
            augmented.setdefault(name, []).append(image)
    again = [images for images in augmented.values() if len(images) > 1]
    assert again
    for images in again:
        assert not np.array_equal(images[0], images[1])


def test_the_seed_decides_everything(reference):
    assert_same_batches(take(training(), 7), reference)
    other = take(training(seed=1), 7)
    assert [list(b["id"]) for b in other] != [list(b["id"]) for b in reference]


def test_neighboring_seeds_do_not_share_shifted_epochs():
    epochs = [
        [tuple(np.concatenate([b["id"] for b in batches[i : i + 2]])) for i in range(0, 8, 2)]
        for batches in (take(training(seed=seed), 8) for seed in (0, 1))
    ]
    assert not set(epochs[0]) & set(epochs[1])


def test_repeated_augmentation_shows_different_views_of_a_record_in_a_row():
    batches = take(training(batch_size=3, augmentation=Augmentation(randaugment_layers=0)), 6)
    assert len({batch["id"][0] for batch in batches[:3]}) == 3
    for batch in batches:
        assert len(set(batch["id"])) == 1
        assert len({image.tobytes() for image in batch["image"]}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_sequence(reference, num_workers):
    assert_same_batches(take(training(num_workers=num_workers), 7), reference)


def test_batches_of_one_are_the_same_samples_in_the_same_order():
    ones, whole = take(training(batch_size=1), 22), take(training(batch_size=11), 2)
    for key in ("image", "id"):
        rows = np.concatenate([batch[key] for batch in ones])
        np.testing.assert_array_equal(rows, np.concatenate([batch[key] for batch in whole]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "augmentation", [Augmentation(), Augmentation(randaugment_layers=0, repeats=1, fast_decode=True)]
)
def test_views_of_one_record_do_not_depend_on_where_they_are_made(augmentation):
    # Three views in a row, chunks of four: workers and hosts begin and end in the middle of a record's views.
    whole = take(training(batch_size=8, augmentation=augmentation), 4)
    shares = [take(training(batch_size=8, augmentation=augmentation, shard=(host, 2)), 4) for host in (0, 1)]
    workers = take(training(batch_size=8, augmentation=augmentation, num_workers=2), 4)
    joined = [
        {key: np.concatenate([b[key] for b in chunks]) for key in chunks[0]}
        for chunks in zip(*shares, strict=True)
    ]
    assert_same_batches(joined, whole)
    assert_same_batches(workers, whole)


def test_repeated_views_read_and_decode_their_record_once():
    class Counting(list):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            return super().__getitem__(index)

    split = Counting(SPLIT)
    sample = TrainSample(split, Augmentation(), SIZE, "error")
    for element in (4, 4, 4, 5, 5, 4):
        assert sample.random_map(element, np.random.default_rng(0))["id"] == f"images/{element}.png"
    assert split.reads == 3


def test_grain_can_name_the_transforms_without_printing_the_records():
    # It does, for its statistics: a split held in memory would be spelled out, gigabytes of it.
    class Unprintable(list):
        def __repr__(self):
            raise AssertionError("the whole split was printed")

    split = Unprintable(SPLIT)
    take(training(split), 1)
    list(evaluation_batches(split, batch_size=4, geometry=Geometry("lctr", SIZE)))


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_do_not_change_the_global_batches(reference, hosts):
    shares = [take(training(shard=(host, hosts)), 7) for host in range(hosts)]
    joined = [
        {key: np.concatenate([b[key] for b in chunks]) for key in chunks[0]}
        for chunks in zip(*shares, strict=True)
    ]
    assert_same_batches(joined, reference)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_state_continues_mid_epoch_under_any_number_of_workers(reference, num_workers):
    batches = training()
    for _ in range(3):  # the middle of the second epoch
        next(batches)
    state = json.loads(json.dumps(batches.get_state()))
    batches.close()

    resumed = training(num_workers=num_workers)
    resumed.set_state(state)
    assert resumed.get_state() == state
    assert_same_batches(take(resumed, 4), reference[3:])


def test_a_running_iterator_can_go_back(reference):
    batches = training()
    start = batches.get_state()
    next(batches)
    next(batches)
    batches.set_state(start)
    assert_same_batches(take(batches, 7), reference)


def test_a_closed_iterator_says_so():
    batches = training()
    batches.close()
    with pytest.raises(ValueError, match="closed"):
        next(batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 12}, "batch_size: got 12, expected 1 to 11"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"batch_size": 5, "shard": (0, 2)}, "multiple of the 2 hosts"),
        ({"shard": (2, 2)}, "shard"),
        ({"seed": -1}, "seed"),
    ],
)
def test_user_mistakes_name_the_input(options, message):
    with pytest.raises(ValueError, match=message):
        training(**options)


def damaged_split(*indices: int) -> list[dict]:
    split = make_split(11)
    for index in indices:
        split[index]["image"] = split[index]["image"][:100]
    return split


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_corrupt_record_is_named(num_workers):
    batches = training(damaged_split(4), num_workers=num_workers)
    with pytest.raises(ValueError, match=r"images/4\.png"):
        list(itertools.islice(batches, 3))
    with pytest.raises(ValueError, match="closed"):
        next(batches)


def test_a_skipped_record_is_marked_logged_and_replaced_by_the_next(reference, caplog):
    batches = take(training(damaged_split(4, 5, 10), on_corrupt="skip"), 7)
    stand_in = {
        "images/4.png": "images/6.png",
        "images/5.png": "images/6.png",
        "images/10.png": "images/0.png",
    }
    replaced = 0
    for batch, whole in zip(batches, reference, strict=True):
        np.testing.assert_array_equal(batch["id"], [stand_in.get(name, name) for name in whole["id"]])
        np.testing.assert_array_equal(batch["replaced"], [name in stand_in for name in whole["id"]])
        untouched = ~batch["replaced"]
        np.testing.assert_array_equal(batch["image"][untouched], whole["image"][untouched])
        replaced += batch["replaced"].sum()
    assert replaced > 0
    assert "images/4.png" in caplog.text


def test_skipping_everything_is_an_error():
    with pytest.raises(ValueError, match="none of the 11 records"):
        take(training(damaged_split(*range(11)), on_corrupt="skip"), 1)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_is_one_ordered_pass_with_a_padded_end(num_workers):
    geometry = Geometry("lctr", SIZE)
    batches = list(evaluation_batches(SPLIT, batch_size=4, geometry=geometry, num_workers=num_workers))
    assert [len(batch["records"]) for batch in batches] == [4, 4, 3]
    records = [record for batch in batches for record in batch["records"]]
    assert [record["id"] for record in records] == [record["id"] for record in SPLIT]
    for index, record in enumerate(records):
        assert (record["width"], record["height"], record["mask"]) == (30, 20 + index, None)
        np.testing.assert_array_equal(record["boxes_xyxy"], SPLIT[index]["boxes_xyxy"])
    images = np.concatenate([batch["image"] for batch in batches])
    expected = [
        geometry.transform_image(np.asarray(Image.open(io.BytesIO(record["image"])))) for record in SPLIT
    ]
    np.testing.assert_array_equal(images[:11], expected)
    assert not images[11].any()
    labels = np.concatenate([batch["label"] for batch in batches])
    np.testing.assert_array_equal(labels, [*(record["label"] for record in SPLIT), -1])


@pytest.mark.parametrize("num_workers", [0, 1])
def test_workers_stack_batches_in_shared_memory(num_workers):
    batch = training(num_workers=num_workers)._batches[0]
    for values in batch.values():
        assert isinstance(values, SharedMemoryArray) == (num_workers > 0)
        if num_workers:
            values.unlink_on_del()


def test_every_evaluation_host_runs_the_same_number_of_batches():
    geometry = Geometry("wsoleval", SIZE)
    shares = [
        list(evaluation_batches(SPLIT, batch_size=8, geometry=geometry, shard=(host, 4))) for host in range(4)
    ]
    assert [len(batches) for batches in shares] == [2, 2, 2, 2]
    assert [[len(batch["records"]) for batch in batches] for batches in shares] == [
        [2, 2],
        [2, 1],
        [2, 0],
        [2, 0],
    ]
    assert all(batch["image"].shape == (2, SIZE, SIZE, 3) for batches in shares for batch in batches)
    ids = [record["id"] for step in range(2) for batches in shares for record in batches[step]["records"]]
    assert ids == [record["id"] for record in SPLIT]


def test_evaluation_carries_masks_and_names_corrupt_records():
    split = make_split(2)
    split[1]["mask"] = b"encoded mask"
    (batch,) = evaluation_batches(split, batch_size=2, geometry=Geometry("lctr", SIZE))
    assert [record["mask"] for record in batch["records"]] == [None, b"encoded mask"]
    with pytest.raises(ValueError, match=r"images/1\.png"):
        list(evaluation_batches(damaged_split(1), batch_size=4, geometry=Geometry("lctr", SIZE)))

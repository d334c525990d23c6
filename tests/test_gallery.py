import numpy as np
import pytest
from fake_results import make_results, make_settings

from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.report.gallery import GROUPS, PER_ERROR, Gallery

SETTINGS = make_settings()


@pytest.fixture(scope="module")
def results():
    return make_results(300, SETTINGS)


def collect(results):
    gallery = Gallery()
    for result in results:
        gallery.add(result)
    return gallery.pictures()


def names(pictures, group):
    return [result.sample.id for result, groups in pictures if group in groups]


def by_iou(results):
    def sureness(result):
        return float(result.probability[0]) * (1 if result.sample.top1_correct else -1)

    return [
        result.sample.id
        for result in sorted(results, key=lambda result: (result.measurement.scores.iou, sureness(result)))
    ]


def test_best_and_worst_are_those_of_a_full_sort(results):
    pictures, ranking = collect(results), by_iou(results)
    assert set(names(pictures, "best")) == set(ranking[-GROUPS["best"] :])
    assert set(names(pictures, "worst")) == set(ranking[: GROUPS["worst"]])


def test_every_kept_image_is_there_once_and_the_number_is_bounded(results):
    pictures = collect(results)
    ids = [result.sample.id for result, _ in pictures]
    assert len(ids) == len(set(ids)) <= sum(GROUPS.values()) + PER_ERROR * len(ERROR_TYPES) < len(results)


def test_every_error_type_that_occurs_has_examples(results):
    occurring = [result.measurement.scores.error for result in results]
    result = [result.error for result, _ in collect(results)]
    for error in set(occurring):
        assert result.count(error) >= min(PER_ERROR, occurring.count(error))


def test_the_choice_does_not_depend_on_the_order(results):
    shuffled = [results[index] for index in np.random.default_rng(1).permutation(len(results))]
    assert {result.sample.id for result, _ in collect(results)} == {
        result.sample.id for result, _ in collect(shuffled)
    }


def test_random_images_are_not_just_the_first(results):
    positions = [int(name[6:10]) for name in names(collect(results), "random")]
    assert len(positions) == GROUPS["random"]
    assert max(positions) > 200
    assert min(positions) < 100


def test_what_is_kept_does_not_hold_its_batch(results):
    batch = results[0].image.base
    for result, _ in collect(results):
        arrays = [
            array
            for record in (result, result.sample, result.measurement)
            for array in vars(record).values()
            if isinstance(array, np.ndarray)
        ]
        assert len(arrays) == 9
        assert not any(np.shares_memory(array, batch) for array in arrays)
        assert all(array.base is None for array in arrays)


def test_without_boxes_the_surest_mistakes_are_the_worst():
    results = make_results(60, SETTINGS, boxes=False)
    pictures = collect(results)
    wrong = [result for result in results if not result.sample.top1_correct]
    surest = max(wrong, key=lambda result: result.probability[0])
    assert surest.sample.id in names(pictures, "worst")
    assert surest.sample.id not in names(pictures, "best")
    assert all(result.iou is None and result.error is None for result, _ in pictures)

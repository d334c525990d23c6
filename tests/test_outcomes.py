"""Paired bootstrap of several evaluations, against exact distributions and a naive loop."""

import json
from itertools import product

import numpy as np
import pytest
from fake_results import make_results, make_settings, summarize_results

from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.prediction_lines import prediction
from lctr_jax.evaluation.prediction_outcomes import read_outcomes
from lctr_jax.localization.bootstrap import resample_means
from lctr_jax.localization.outcomes import Outcomes, average_outcomes, difference, resample_outcomes


def outcomes(*values, boxed=None, name="gt_known_loc"):
    boxed = np.ones(len(values), bool) if boxed is None else np.array(boxed)
    ids = [f"{index:05d}" for index in range(len(values))]
    return Outcomes(ids=ids, boxed=boxed, values={name: np.array(values, float)})


def paired(first, second, name="gt_known_loc", **options):
    replicates = resample_outcomes([first, second], **options)
    ours, theirs = first.means()[name], second.means()[name]
    return difference(ours, replicates[0][name], theirs, replicates[1][name])


def test_resampled_means_follow_the_exact_distribution():
    values = np.array([[0.0], [1.0], [5.0]])
    exact = [np.mean(drawn) for drawn in product(values[:, 0], repeat=3)]  # all 27 draws are equally likely
    means = resample_means(values, num_resamples=60_000)[:, 0]
    for value in np.unique(exact):
        share = float(np.isclose(exact, value).mean())
        assert np.isclose(means, value).mean() == pytest.approx(share, abs=4 * (share / 60_000) ** 0.5)


def test_columns_share_their_draws_as_in_a_naive_loop():
    values = np.random.default_rng(1).normal(size=(50, 2))
    generator = np.random.default_rng(7)
    naive = [values[generator.integers(0, 50, 50)].mean(axis=0) for _ in range(200)]
    np.testing.assert_allclose(resample_means(values, num_resamples=200, seed=7), naive, atol=1e-12)


def test_memory_is_bounded_by_parts_that_change_nothing(monkeypatch):
    values = np.random.default_rng(1).normal(size=(50, 2))
    whole = resample_means(values, num_resamples=100)
    monkeypatch.setattr("lctr_jax.localization.bootstrap._DRAWS_AT_ONCE", 150)
    np.testing.assert_allclose(resample_means(values, num_resamples=100), whole, atol=1e-12)


def test_the_interval_has_the_width_of_the_paired_standard_error():
    rng = np.random.default_rng(0)
    hard = rng.random(400)  # shared by both, so that pairing matters
    first, second = (outcomes(*(100.0 * (hard < share))) for share in (0.7, 0.6))
    found = paired(first, second)
    changes = first.values["gt_known_loc"] - second.values["gt_known_loc"]
    error = changes.std() / 20
    assert found.value == pytest.approx(float(changes.mean()))
    assert (found.low, found.high) == pytest.approx(
        (found.value - 1.96 * error, found.value + 1.96 * error), abs=0.4
    )
    assert found.is_significant
    assert found.other_sign == 0
    unpaired = 100 * (0.7 * 0.3 / 400 + 0.6 * 0.4 / 400) ** 0.5
    assert error < 0.5 * unpaired


def test_swapping_two_runs_flips_the_sign_and_the_interval():
    rng = np.random.default_rng(3)
    first, second = (outcomes(*(100.0 * (rng.random(40) < 0.6))) for _ in range(2))
    found, swapped = paired(first, second), paired(second, first)
    assert found.value != 0
    assert swapped.value == -found.value
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    assert swapped.other_sign == found.other_sign > 0


def test_equal_runs_do_not_differ():
    run = outcomes(0.0, 100.0, 100.0)
    assert paired(run, run) == (0, 0, 0, 100)
    assert not paired(run, run).is_significant


def test_only_images_with_boxes_count_for_boxes():
    run = outcomes(100.0, np.nan, 0.0, boxed=[True, False, True])
    assert run.means() == {"gt_known_loc": 50}
    (replicates,) = resample_outcomes([run])
    assert set(np.unique(replicates["gt_known_loc"])) == {0, 50, 100}
    assert resample_outcomes([outcomes(np.nan, boxed=[False])]) == [{}]


def test_seeds_are_averaged_image_by_image():
    seeds = [outcomes(0.0, 100.0, 100.0), outcomes(0.0, 0.0, 100.0)]
    assert average_outcomes(seeds).values["gt_known_loc"].tolist() == [0, 50, 100]


def write_lines(path, results, settings):
    geometry = Geometry(protocol=settings.protocol.name, image_size=settings.image_size)
    lines = [json.dumps(prediction(result, geometry)) for result in results]
    path.write_text("".join(f"{line}\n" for line in lines))
    return lines


@pytest.mark.parametrize("boxes", [True, False])
def test_the_lines_of_an_evaluation_give_its_metrics(tmp_path, boxes):
    settings = make_settings()
    results = make_results(30, settings, boxes=boxes)
    write_lines(tmp_path / "lines", results[::-1], settings)
    metrics, _ = summarize_results(results, settings)
    read = read_outcomes(tmp_path / "lines")
    assert list(read.ids) == [result.sample.id for result in results]
    means = read.means()
    assert len(means) == (6 if boxes else 2)
    for name, value in means.items():
        assert value == pytest.approx(metrics[name], abs=1e-4), name


def test_lines_that_no_evaluation_wrote_are_named(tmp_path):
    settings = make_settings()
    lines = write_lines(tmp_path / "lines", make_results(3, settings), settings)
    line = json.loads(lines[1])
    for broken, message in (
        (line | {"error": "odd"}, "line 2: got error 'odd', expected one of correct,"),
        (line | {"iou": None}, "line 2: got error"),
        (line | {"iou": "big"}, "line 2: iou: got 'big'"),
        ({"id": "x"}, "line 2: expected id, label and top5"),
        (json.loads(lines[0]), "occurs twice"),
    ):
        (tmp_path / "lines").write_text("\n".join([lines[0], json.dumps(broken), lines[2]]))
        with pytest.raises(ValueError, match=message):
            read_outcomes(tmp_path / "lines")

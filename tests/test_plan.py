"""What is due at each step of a training and after resuming, without running a training."""

from typing import Any

import pytest

from lctr_jax.training.plan import Action, Agenda, Plan
from lctr_jax.training.training_config import TrainingOptions

EVALUATE, SAVE, STEP = Action.EVALUATE, Action.SAVE, Action.STEP


def make_plan(**options) -> Plan:
    """Three epochs of two steps, evaluated and saved after each."""
    defaults: dict[str, Any] = {
        "epochs": 3,
        "eval_every_epochs": 1,
        "checkpoint_every_epochs": 1,
        "log_every_steps": 4,
    }
    return Plan(TrainingOptions(**defaults | options), steps_per_epoch=2)


def carry_out(agenda: Agenda) -> list:
    """Every action in order, steps by their number."""
    actions = []
    while (action := agenda.next) is not None:
        agenda.done(action)
        actions.append(agenda.step if action is STEP else action)
    return actions


def test_a_step_is_followed_by_its_evaluation_and_then_by_its_checkpoint():
    expected = [1, 2, EVALUATE, SAVE, 3, 4, EVALUATE, SAVE, 5, 6, SAVE]  # the whole evaluation follows
    assert carry_out(Agenda(make_plan())) == expected


def test_the_last_step_is_evaluated_where_the_best_weights_are_kept():
    assert carry_out(Agenda(make_plan(keep_best="eval/top1_cls")))[-3:] == [6, EVALUATE, SAVE]


def test_patience_counts_looks_since_the_best_one():
    plan = make_plan(epochs=9, eval_every_epochs=2, keep_best="eval/top1_cls", patience=2)
    assert [step for step in range(4, 18) if plan.stops_at(step, best=4)] == list(range(12, 18))
    assert not plan.stops_at(16, best=None)  # no look has given a number
    assert not make_plan(epochs=9, keep_best="eval/top1_cls").stops_at(18, best=2)


def test_a_stopped_training_saves_and_takes_no_further_step():
    agenda = Agenda(make_plan(checkpoint_every_epochs=0))
    for _ in range(2):
        agenda.done(STEP)
    assert agenda.next is EVALUATE
    agenda.stop()
    agenda.done(EVALUATE)
    assert carry_out(agenda) == [SAVE]
    assert carry_out(Agenda(make_plan(), step=2, stopped=True)) == []


@pytest.mark.parametrize(
    ("options", "evaluations", "checkpoints"),
    [
        ({"eval_every_epochs": 0}, [], [2, 4, 6]),
        ({"eval_every_epochs": 2}, [4], [2, 4, 6]),
        ({"checkpoint_every_epochs": 0}, [2, 4], [6]),
        ({"checkpoint_every_epochs": 2}, [2, 4], [4, 6]),
    ],
)
def test_nothing_is_due_more_often_than_asked_for(options, evaluations, checkpoints):
    plan = make_plan(**options)
    steps = range(1, plan.total_steps + 1)
    assert [step for step in steps if plan.evaluates_at(step)] == evaluations
    assert [step for step in steps if plan.saves_at(step)] == checkpoints


def test_the_log_has_windows_and_an_end():
    assert [step for step in range(1, 7) if make_plan().logs_at(step)] == [4, 6]


@pytest.mark.parametrize("steps", range(6))
def test_a_run_that_is_stopped_after_any_step_goes_on_with_what_was_due(steps):
    """Stopped between a step and its evaluation, saved there, and resumed from that checkpoint."""
    whole = carry_out(Agenda(make_plan()))
    stopped, done = Agenda(make_plan()), []
    while stopped.step < steps:
        action = stopped.next
        assert action is not None
        stopped.done(action)
        done.append(stopped.step if action is STEP else action)
    resumed = Agenda(make_plan(), step=stopped.step, evaluated=stopped.evaluated)
    saved = [] if stopped.next is STEP else [SAVE]  # by the stop
    rest = carry_out(resumed)
    assert [each for each in done + rest if each is not SAVE] == [each for each in whole if each is not SAVE]
    assert (done + rest).count(SAVE) + len(saved) == whole.count(SAVE)


def test_a_finished_training_has_nothing_left():
    assert Agenda(make_plan(), step=6).next is None

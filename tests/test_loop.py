"""The training loop with a fake step: what it saves, and how it stops."""

import json
import signal
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lctr_jax.distributed.preemption import Interruption
from lctr_jax.distributed.stopping import Interrupted
from lctr_jax.training.log import RunLog
from lctr_jax.training.loop import Training
from lctr_jax.training.meter import Meter, NonFiniteLossError
from lctr_jax.training.plan import Agenda, Plan
from lctr_jax.training.state import TrainState
from lctr_jax.training.steps import StepMetrics
from lctr_jax.training.training_config import LogOptions, TrainingOptions


class Stop(Interruption):
    """Asked to stop at its n-th point."""

    def __init__(self, at: int):
        super().__init__()
        self.left = at

    def listen(self) -> None:
        pass

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted(signal.SIGTERM)


def run(workdir, *, start=0, losses=(), norms=(), stop=0, end=0, evaluated=True, loss_scale=None, **options):
    """Twelve steps, evaluated every 2 and saved every 3; returns what happened, and the state's step.

    The evaluation after step `end` asks to stop.
    """
    happened = []
    state = TrainState(jnp.int32(start), {"weight": jnp.zeros(())}, (), {}, {})
    interruption = Stop(stop)

    def step_fn(state, batch):
        step = int(state.step) + 1
        loss, norm = (jnp.float32(dict(values).get(step, 1.0)) for values in (losses, norms))
        scale = None if loss_scale is None else jnp.float32(loss_scale)
        metrics = StepMetrics(loss, jnp.float32(0.5), norm, jnp.int32(0), jnp.float32(step), scale)
        return state._replace(step=state.step + 1), metrics

    def evaluate(state, step):
        happened.append(("begin", step))
        interruption.check()
        happened.append(("evaluated", step))
        return step == end

    every: dict[str, Any] = {"checkpoint_every_epochs": 3, "eval_every_epochs": 2, "log_every_steps": 4}
    plan = Plan(TrainingOptions(epochs=12, batch_size=2, **every | options), steps_per_epoch=1)
    with RunLog(active=True) as log:
        log.open(workdir, LogOptions(), {})
        try:
            Training(
                state,
                step_fn,
                (({}, [f"{step}a.png", f"{step}b.png"]) for step in range(start + 1, 99)),
                agenda=Agenda(plan, step=start, evaluated=evaluated),
                log=log,
                save=lambda state, step, evaluated: happened.append(
                    ("saved", int(state.step), step, evaluated)
                ),
                evaluate=evaluate,
                interruption=interruption,
            ).run()
        except Interrupted:
            happened.append("interrupted")
    return happened


def saves(happened):
    return [each[1:] for each in happened if each[0] == "saved"]


def test_evaluates_before_it_saves(tmp_path):
    happened = run(tmp_path)
    assert saves(happened) == [(step, step, True) for step in (3, 6, 9, 12)]
    assert happened.index(("evaluated", 6)) < happened.index(("saved", 6, 6, True))
    assert ("begin", 12) not in happened  # the whole evaluation comes next


def test_the_end_is_evaluated_where_that_is_asked_for(tmp_path):
    happened = run(tmp_path, keep_best="eval/top1_cls")
    assert happened[-3:] == [("begin", 12), ("evaluated", 12), ("saved", 12, 12, True)]
    assert happened[:-3] == run(tmp_path)[:-1]


def test_the_time_of_an_evaluation_is_not_training_time(tmp_path, monkeypatch):
    skipped = []
    monkeypatch.setattr(Meter, "skip", lambda self, seconds: skipped.append(seconds))
    run(tmp_path)
    assert len(skipped) == 1 + 5  # compilation, and the evaluations before the end
    assert all(0 <= seconds < 60 for seconds in skipped)


def test_an_evaluation_may_end_the_training(tmp_path):
    happened = run(tmp_path, end=4)
    assert happened[-3:] == [("begin", 4), ("evaluated", 4), ("saved", 4, 4, True)]


def test_a_stop_saves_the_step_it_is_at(tmp_path):
    happened = run(tmp_path, stop=1)
    assert happened == [("saved", 1, 1, True), "interrupted"]


def test_a_stop_within_an_evaluation_leaves_it_to_the_resumed_run(tmp_path):
    happened = run(tmp_path, stop=3)  # points: steps 1 and 2, then the evaluation at 2
    assert happened == [("begin", 2), ("saved", 2, 2, False), "interrupted"]
    resumed = run(tmp_path, start=2, evaluated=False)
    assert resumed[:2] == [("begin", 2), ("evaluated", 2)]
    assert resumed[2:] == run(tmp_path)[2:]


@pytest.mark.parametrize("values", ["losses", "norms"])
def test_a_loss_that_is_not_finite_ends_the_run_naming_step_and_images(tmp_path, values):
    for number in (np.nan, np.inf):
        options: dict[str, Any] = {values: [(6, number), (7, number)]}
        with pytest.raises(NonFiniteLossError, match=r"at step 6, .*images 6a\.png, 6b\.png") as error:
            run(tmp_path, **options)
        assert "\n" not in str(error.value)


def test_a_diverged_state_is_never_saved(tmp_path):
    for stop in (0, 8):
        happened = []
        with pytest.raises(NonFiniteLossError):
            happened += run(tmp_path, losses=[(5, np.nan)], log_every_steps=100, stop=stop)
        assert all(step < 5 for step, *_ in saves(happened))


def test_what_is_skipped_is_counted_and_in_no_mean(tmp_path, capsys):
    losses = [(2, np.nan), (3, np.inf), (9, np.nan), (10, np.nan), (11, np.nan), (12, np.nan)]
    happened = run(tmp_path, losses=losses, skip_nonfinite=True)
    assert saves(happened)[-1] == (12, 12, True)
    logged = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    by_step = {line["step"]: line for line in logged}
    assert sum(line["train/skipped_steps"] for line in logged) == len(losses)
    assert by_step[3]["train/loss"] == 1.0
    assert "train/loss" not in by_step[12]
    assert [line["train/learning_rate"] for line in logged] == [line["step"] for line in logged]
    printed = capsys.readouterr().err
    assert "at step 2, " in printed
    assert "2a.png" in printed
    assert "skipped 2" in printed


def test_overflows_of_a_scaled_loss_are_counted_and_end_at_a_scale_of_one(tmp_path, capsys):
    norms = [(2, np.inf), (3, np.inf)]
    run(tmp_path / "scaled", norms=norms, loss_scale=4.0)
    logged = [json.loads(line) for line in (tmp_path / "scaled" / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["train/skipped_steps"] for line in logged) == 2
    assert {line["train/loss_scale"] for line in logged} == {4.0}
    assert "skipped 2" in capsys.readouterr().err
    with pytest.raises(NonFiniteLossError, match="at step 2, "):
        run(tmp_path / "unscaled", norms=norms, loss_scale=1.0)
    with pytest.raises(NonFiniteLossError, match="at step 5, "):
        run(tmp_path / "loss", losses=[(5, np.nan)], loss_scale=4.0)


def test_many_ids_are_cut():
    ids = [f"{number}.png" for number in range(512)]
    plan = Plan(TrainingOptions(epochs=1, batch_size=512), steps_per_epoch=1)
    metrics = StepMetrics(jnp.float32(np.nan), jnp.float32(0), jnp.float32(1), jnp.int32(0), jnp.float32(0))
    state = TrainState(jnp.int32(0), {}, (), {}, {})
    with (
        RunLog(active=True) as log,
        pytest.raises(NonFiniteLossError, match=r"63\.png and 448 more$"),
    ):
        Training(
            state,
            lambda state, batch: (state, metrics),
            iter([({}, ids)]),
            agenda=Agenda(plan),
            log=log,
            save=lambda *arguments: None,
            evaluate=lambda *arguments: False,
            interruption=Stop(0),
        ).run()

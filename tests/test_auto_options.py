"""What `configs/folder.py` chooses, by images, machine and weights."""

import json
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import require_spec, save_weights
from lctr_jax.distributed.mesh import make_mesh
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import model_spec
from lctr_jax.run.auto_options import AUTO_OPTIONS, Facts, choose_options, describe_choices
from lctr_jax.run.settled_options import check_config, settle_options

ROOT = Path(__file__).parents[1]
GB = 10**9
DEIT_SMALL = model_spec("deit_small", num_classes=1)
DINOV2 = model_spec("dinov2_small", num_classes=1, image_size=518)


def chosen(given=(), **facts):
    known = {"images": 5000, "devices": 1, "on_cpu": True, "memory": 8 * GB, **facts}
    return {option: value for option, value, _ in choose_options(Facts(**known), dict(given))}


TABLE = [
    ({}, ("deit_demo", 64, 64, 40, 8e-3)),  # the README's example
    ({"images": 265}, ("deit_demo", 64, 8, 200, 8e-3)),
    ({"images": 100_000}, ("deit_demo", 64, 64, 20, 8e-3)),
    ({"weights": DEIT_SMALL}, ("deit_small", 160, 32, 12, 4e-4)),
    ({"weights": DEIT_SMALL, "images": 265}, ("deit_small", 160, 8, 60, 4e-4)),
    ({"weights": DEIT_SMALL, "on_cpu": False, "memory": 80 * GB}, ("deit_small", 224, 64, 12, 4e-4)),
    ({"weights": DEIT_SMALL, "on_cpu": False, "memory": 4 * GB}, ("deit_small", 224, 16, 12, 4e-4)),
    (
        {"weights": DEIT_SMALL, "on_cpu": False, "memory": 80 * GB, "devices": 4},
        ("deit_small", 224, 128, 12, 2e-4),
    ),
    ({"weights": DINOV2, "on_cpu": False, "memory": 80 * GB}, ("dinov2_small", 518, 64, 12, 4e-4)),
    ({"weights": DINOV2}, ("dinov2_small", 140, 32, 12, 4e-4)),
]


@pytest.mark.parametrize(("facts", "expected"), TABLE)
def test_the_table_of_choices(facts, expected):
    values = chosen(**facts)
    assert tuple(values[option] for option in list(AUTO_OPTIONS)[:-1]) == expected
    assert values["train.warmup_epochs"] == values["train.epochs"] / 20


@pytest.mark.parametrize("option", AUTO_OPTIONS)
def test_a_value_that_is_given_wins_and_is_not_chosen(option):
    given = {"model.name": "deit_tiny", "model.image_size": 96, "train.batch_size": 16, "train.epochs": 3}
    given |= {"train.lr": 1.0, "train.warmup_epochs": 0.0}
    assert option not in chosen({option: given[option]})
    assert chosen(given) == {}


def test_what_depends_on_others_follows_those_that_are_given():
    assert chosen({"train.batch_size": 256})["train.lr"] == 2e-3  # the same peak
    assert chosen({"train.batch_size": 8})["train.lr"] == 8e-3  # a lower one
    assert chosen({"train.epochs": 100})["train.warmup_epochs"] == 5
    assert chosen({"model.name": "deit_small"})["model.image_size"] == 160
    assert chosen({"model.name": "deit_small"}, on_cpu=False)["model.image_size"] == 224


def test_weights_of_no_published_size_bring_their_shape():
    odd = model_spec("deit_tiny", num_classes=1, width=96, depth=3, image_size=32, patch_size=8)
    values = chosen(weights=odd)
    assert values["model.image_size"] == 32  # no more patches than they know
    fields = {name.removeprefix("model."): value for name, value in values.items() if "model." in name}
    assert model_spec(fields.pop("name"), num_classes=1, **fields) == model_spec(
        "deit_demo", num_classes=1, depth=3, heads=3, image_size=32
    )
    assert "model.depth" not in chosen({"model.depth": 5}, weights=odd)


def test_each_choice_is_one_line_with_its_reason():
    lines = describe_choices(choose_options(Facts(images=265, devices=2, on_cpu=True, memory=8 * GB), {}))
    assert len(lines) == len(AUTO_OPTIONS)
    assert lines[2] == (
        "chosen: --config.train.batch_size=8 (265 images give about 20 steps per epoch, on each of 2 devices)"
    )
    assert lines[3] == "chosen: --config.train.epochs=200 (265 training images, from random weights)"


@pytest.fixture
def config():
    return runpy.run_path(str(ROOT / "configs/folder.py"))["get_config"]()


def test_an_open_config_is_checked_before_anything_is_read(config):
    assert check_config(config).train.batch_size == 512  # the published one, in place of what is open
    config.train.epochs = 2.5
    with pytest.raises(ValueError, match=r"train\.epochs: got 2\.5, expected a whole number, or 'auto'"):
        check_config(config)
    config.train.epochs = "many"
    with pytest.raises(ValueError, match=r"train\.epochs: got 'many', expected a whole number, or 'auto'"):
        check_config(config)


def test_a_run_that_goes_on_keeps_what_it_was_started_with(config, tmp_path, capsys):
    started = {"train": {"batch_size": 24, "epochs": 7, "lr": 0.25, "warmup_epochs": 0.5}}
    started["model"] = {"name": "deit_tiny", "image_size": 48, "width": 96, "num_classes": None}
    (tmp_path / "checkpoints/10").mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps(started))
    settled = settle_options(config, make_mesh(), workdir=tmp_path)
    assert (settled.train.batch_size, settled.train.epochs, settled.train.lr) == (24, 7, 0.25)
    assert settled.spec(num_classes=3).width == 96
    assert f"as {tmp_path} was started" in capsys.readouterr().err
    config.train.epochs = 9
    assert settle_options(config, make_mesh(), workdir=tmp_path).train.epochs == 9


def test_an_evaluation_takes_the_network_of_its_checkpoint(config, tmp_path):
    spec = model_spec("deit_tiny", num_classes=2, width=96, depth=2, image_size=32, patch_size=8, experts=2)
    parameters = jax.tree.map(np.asarray, initialize(spec, jax.random.key(0)))
    save_weights(tmp_path / "weights", Metadata(kind="network", spec=spec), parameters)
    settled = settle_options(config, make_mesh(), workdir=None, checkpoint=str(tmp_path / "weights"))
    require_spec(Metadata(kind="network", spec=spec), settled.spec(num_classes=2), path="weights")

"""Options: every documented option can be set; invalid values are refused when parsing."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from flax.traverse_util import flatten_dict

from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.train import main

ROOT = Path(__file__).parents[1]
GROUPS = tuple(key for key, value in default_config().items() if hasattr(value, "items"))
OPTIONS = set(flatten_dict(default_config().to_dict(), sep="."))
# Words that look like an option of a group, and are an attribute or a file.
NO_OPTIONS = {"data.py", "train.py", "train.main", "data.ready", "eval.report"}


def texts() -> list[Path]:
    """Everything that prints options or names them to a reader."""
    folders = [ROOT / name for name in ("docs", "launch", "configs", "lctr_jax", "benchmarks")]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        *ROOT.glob("*.md"),
        *(path for path in files if path.suffix in (".md", ".py", ".sh", ".yaml", ".ipynb")),
    ]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_option_that_is_printed_exists(path):
    text = path.read_text()
    named = set(re.findall(r"--config\.([a-z_]+(?:\.[a-z_0-9]+)*)=", text))
    if path.suffix == ".md":
        named |= set(re.findall(rf"`((?:{'|'.join(GROUPS)})\.[a-z_]+)(?:=[^`]*)?`", text))
    unknown = {name for name in named if name not in OPTIONS and not name.startswith("data.boxes.")}
    assert not unknown - NO_OPTIONS - {"a.b"}


def test_every_field_of_the_network_can_be_set():
    assert {f"model.{field.name}" for field in dataclasses.fields(ModelSpec)} < OPTIONS
    config: Any = default_config()
    own = {"experts": 2, "mlp_ratio": 3, "layer_scale": True, "registers": 4, "cls_position": False}
    config.model.update(own, initialization="fan_in")
    spec = parse_config(config).spec(num_classes=7)
    assert {name: getattr(spec, name) for name in own} == own
    assert spec.initialization == "fan_in"
    assert parse_config(default_config()).spec(num_classes=7).layer_scale is False  # the size's own


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--config.train.lr=nan", "train.lr: got nan, expected 0 or more, finite"),
        ("--config.train.lr=inf", "train.lr: got inf"),
        ("--config.train.lr=-1", "train.lr: got -1.0"),
        ("--config.train.warmup_lr=nan", "train.warmup_lr: got nan"),
        ("--config.train.min_lr=inf", "train.min_lr: got inf"),
        ("--config.train.warmup_epochs=inf", "train.warmup_epochs: got inf"),
        ("--config.train.weight_decay=nan", "train.weight_decay: got nan"),
        ("--config.train.ema_decay=1", "train.ema_decay: got 1.0, expected 0 to below 1"),
        ("--config.train.ema_decay=nan", "train.ema_decay: got nan"),
        ("--config.seed=-1", "seed: got -1, expected 0 to 4.29497e+09"),
        ("--config.augmentation.crop_scale=()", "augmentation.crop_scale: got ()"),
        ("--config.augmentation.crop_scale=('a','b')", "augmentation.crop_scale: got ('a', 'b')"),
        ("--config.augmentation.mixup=inf", "augmentation.mixup: got inf"),
        ("--config.model.drop_path=nan", "model.drop_path: got nan"),
        ("--config.eval.threshold=nan", "eval.threshold: got nan"),
    ],
)
def test_a_value_without_meaning_is_refused_at_parsing(monkeypatch, capsys, tmp_path, arguments, message):
    command = [
        "train.py",
        f"--config={ROOT / 'configs/digits.py'}",
        f"--workdir={tmp_path / 'run'}",
        arguments,
    ]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"error: {message}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

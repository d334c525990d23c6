"""Option names with hyphens or underscores, in every command."""

import argparse
import importlib
import json
import re
import subprocess
import sys

import pytest
from test_imports import COMMANDS, ROOT

import lctr_jax
from lctr_jax import train
from lctr_jax.command_line import ArgumentParser, respell


def test_names_are_respelled_and_values_are_not():
    given = ["--data_dir=a_b", "--num-processes", "c_d", "file_name", "-x_y", "--", "--left_alone"]
    expected = ["--data-dir=a_b", "--num-processes", "c_d", "file_name", "-x_y", "--", "--left_alone"]
    assert respell(given, "_", "-") == expected


@pytest.mark.parametrize("spelling", ["--num-classes", "--num_classes"])
def test_argparse_takes_both(spelling):
    parser = ArgumentParser()
    parser.add_argument("--num-classes", type=int)
    assert parser.parse_args([spelling, "7"]).num_classes == 7


@pytest.mark.parametrize("spelling", ["--dry-run", "--dry_run"])
def test_absl_takes_both(spelling, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--config", str(ROOT / "configs/digits.py"), spelling])
    assert train._parse(sys.argv).dry_run


def test_every_command_declares_its_options_with_hyphens():
    sources = {name: (ROOT / "lctr_jax" / f"{name}.py").read_text() for name in COMMANDS}
    for name, source in sources.items():
        assert not re.search(r'"--\w*_\w*"', source), name
        module = importlib.import_module(f"lctr_jax.{name}")
        assert not hasattr(module, "_parser") or isinstance(module._parser(), argparse.ArgumentParser)


def test_the_public_names_are_imported_when_they_are_used():
    code = "import sys, lctr_jax; print('jax' in sys.modules, lctr_jax.normalize, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False ")
    assert done.stdout.endswith(" True\n")
    names = ["load", "Localizer", "Prediction", "normalize"]
    assert [getattr(lctr_jax, name).__name__ for name in names] == names
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        lctr_jax.lode  # noqa: B018


STARTS = """
import contextlib, importlib, io, json, sys
def heavy():
    names = "jax flax optax orbax grain tensorflow_datasets sklearn scipy numba matplotlib torch".split()
    return [name for name in names if name in sys.modules]
found = {}
for command in ("train", "predict", "baselines", "convert", "summarize", "compare"):
    sys.argv = [command, "--help"]
    usage = io.StringIO()
    with contextlib.redirect_stdout(usage), contextlib.suppress(SystemExit):
        importlib.import_module(f"lctr_jax.{command}").main()
    assert "usage: " in usage.getvalue()
    found[command] = heavy()
import lctr_jax.run.train, lctr_jax.run.dry_run, lctr_jax.training.trackers
print(json.dumps([found, heavy()]))
"""


def test_help_imports_nothing_that_takes_seconds_and_a_run_only_what_it_uses():
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, check=True)
    help_imports, run_imports = json.loads(done.stdout)
    assert help_imports == {
        name: [] for name in ("train", "predict", "baselines", "convert", "summarize", "compare")
    }
    assert not {"torch", "sklearn", "matplotlib"} & set(run_imports)

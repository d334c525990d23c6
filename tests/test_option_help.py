"""`train.py --help` lists every option, from the place where it is declared."""

import dataclasses
import inspect
import re
import subprocess
import sys

import pytest
from flax.traverse_util import flatten_dict

from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig, default_config
from lctr_jax.run.option_help import list_options
from lctr_jax.train import main


def test_every_option_has_its_default_and_a_meaning(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    main()
    printed = capsys.readouterr().out
    assert "--workdir" in printed
    found = re.findall(
        r"^  --config\.([\w.]+)=(.*)\n(?=      \S|  --config\.data\.boxes)", printed, flags=re.MULTILINE
    )
    options = flatten_dict(default_config().to_dict(), sep=".")
    assert len(found) == len(options)
    assert {name: value for name, value in found} == {
        name: "" if value is None else str(value) for name, value in options.items()
    }


@pytest.mark.parametrize(
    "declared", [RunConfig, ModelSpec, *(field.type for field in dataclasses.fields(RunConfig))]
)
def test_every_field_is_documented(declared):
    if dataclasses.is_dataclass(declared):
        documented = re.findall(r"^    (\w+): ", inspect.getdoc(declared) or "", flags=re.MULTILINE)
        assert sorted(documented) == sorted(field.name for field in dataclasses.fields(declared))


def test_ranges_and_groups_are_in_the_text():
    text = list_options()
    assert "\ntrain: training.\n" in text
    text = " ".join(text.split())
    assert "(one of 'error', 'skip')." in text


def test_the_text_needs_no_jax():
    code = "import sys, lctr_jax.run.option_help as o; o.list_options(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

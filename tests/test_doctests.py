"""The examples in docstrings."""

import doctest
import importlib

import pytest
from test_imports import ROOT

WITH_EXAMPLES = [
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in sorted((ROOT / "lctr_jax").rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed

"""Identifiers of the package use the field's terms, and a public name has one meaning."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lctr_jax"

# A word that identifiers avoid -> the term that JAX, timm or the papers have for it.
TERMS = {
    "arithmetic": "compute, flops",
    "card": "gallery item",
    "cards": "gallery items",
    "claim": "lock",
    "dialects": "formats",
    "headline": "summary",
    "kept": "what it is: residuals, checkpoints, results",
    "look": "validation",
    "numbers": "metrics, coordinates, values",
    "rebox": "measure",
    "recipe": "defaults, config",
    "room": "package, resources, memory",
    "seal": "checksum",
    "sealed": "checksummed",
    "slope": "cotangent, derivative",
    "stroke": "operation arguments",
    "told": "reported",
    "trees": "parameters",
    "views": "crops, panels",
}
# Arguments of PIL's ImageDraw.text and of JAX's convolution.
OF_LIBRARIES = {"stroke_width", "stroke_fill", "dimension_numbers"}


def words(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def private_words(source: str) -> list[str]:
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string not in OF_LIBRARIES:
            found += [
                f"line {token.start[0]}: {token.string}: {TERMS[word]}"
                for word in words(token.string) & set(TERMS)
            ]
    return found


@pytest.mark.parametrize("source", ["kept_x = 1", "class RunCard: pass", "_LOOK = 2", "x.told = 3"])
def test_the_check_sees_parts_of_identifiers(source):
    assert private_words(source)


def test_words_inside_other_words_are_no_matter():
    assert not private_words("discard = lookup = unsealed = mushroom = 1  # kept")


def test_identifiers_use_the_fields_terms():
    found = [
        f"{path.relative_to(PACKAGE)}: {stem}"
        for path in PACKAGE.rglob("*.py")
        for stem in words(path.stem) & set(TERMS)
    ]
    for path in sorted(PACKAGE.rglob("*.py")):
        found += [f"{path.relative_to(PACKAGE)}, {use}" for use in private_words(path.read_text())]
    assert found == []


# Defined once per command, data set, method or box format, always with the same meaning.
SAME_MEANING = {
    "main",
    "USAGE",
    "METHOD",
    "NUM_IMAGES",
    "HOW_TO_GET",
    "EXPECTED",
    "find_release",
    "read_manifest",
}


def public_names(source: str) -> set[str]:
    """The functions, classes and constants that a module defines at its top, without those of its own."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return {name for name in names if not name.startswith("_")}


def test_a_public_name_is_defined_once():
    places = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for name in public_names(path.read_text()) - SAME_MEANING:
            places[name].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


# A `builder` and a `release` for each data set; the `train` command is a parser for `run/train`.
MODULES_OF_ONE_MEANING = {"__init__", "builder", "release", "train"}


def test_a_module_name_occurs_once():
    names = [path.stem for path in PACKAGE.rglob("*.py")]
    names += {path.parent.name for path in PACKAGE.rglob("*.py")}
    assert {name for name in names if names.count(name) > 1} <= MODULES_OF_ONE_MEANING

"""Leaves of nested dicts by dotted path, and differences between two such dicts."""

from collections.abc import Mapping
from typing import Any, cast

from flax.traverse_util import flatten_dict


def by_path(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a nested dict to leaves by dotted path, such as "backbone.norm.scale", in the same order."""
    return cast(dict[str, Any], flatten_dict(tree, sep="."))


def misfits(got: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Describe missing and unexpected names, and wrong shapes, of one nested dict compared with another."""
    theirs, ours = (
        {path: tuple(leaf.shape) for path, leaf in by_path(tree).items()} for tree in (got, expected)
    )
    differ = [path for path in ours if path in theirs and ours[path] != theirs[path]]
    parts = {
        "missing": [path for path in ours if path not in theirs],
        "unexpected": [path for path in theirs if path not in ours],
        "misshapen": [f"{path} got {theirs[path]} expected {ours[path]}" for path in differ],
    }
    return [f"{what}: {', '.join(paths)}" for what, paths in parts.items() if paths]

"""Nested dicts of arrays: their leaves by dotted path, and how two of them differ."""

from collections.abc import Mapping
from typing import Any, cast

from flax.traverse_util import flatten_dict


def by_path(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves by dotted path, as "backbone.norm.scale", in the dict's order."""
    return cast(dict[str, Any], flatten_dict(tree, sep="."))


def misfits(got: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """How two nested dicts of shaped things differ: their missing, unexpected and misshapen names."""
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

"""Strategies for damaged bytes and arbitrary JSON."""

import json
import string
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def damaged(sound: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy of the bytes with some replaced and some removed, or of any short bytes."""

    def apply(changes: list[tuple[int, int]], start: int, stop: int) -> bytes:
        content = bytearray(sound)
        for place, value in changes:
            content[place % len(content)] = value
        return bytes(content[:start] + content[stop:])

    place = st.integers(0, len(sound))
    changes = st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)
    whole = st.builds(lambda changes: apply(changes, len(sound), len(sound)), changes)
    return whole | st.builds(apply, changes, place, place) | st.binary(max_size=200)


def json_values(keys: Sequence[str]) -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values whose objects often have the given keys, with NaN and huge numbers."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-2, 2**70)
        | st.floats()
        | st.text(string.printable, max_size=5)
        | st.sampled_from(list(keys))
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(keys)), inner),
        max_leaves=12,
    )


def changed_json(sound: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of a valid JSON object with some values, at any depth, replaced or removed."""
    paths = list(_paths(sound))
    values = json_values(sorted({str(path[-1]) for path in paths}))
    changes = st.lists(
        st.tuples(st.sampled_from(paths), st.none() | st.tuples(values)), min_size=1, max_size=3
    )
    return changes.map(lambda changes: _changed(sound, changes))


def json_files(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return a strategy of files other than such an object: any, deeply nested or damaged JSON, any bytes."""
    text = json.dumps(sound).encode()
    objects = changed_json(sound) | json_values(sorted(sound))
    deep = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"[" * 500 + b"]" * 500, b"9" * 5000])
    return objects.map(lambda value: json.dumps(value).encode()) | damaged(text) | deep


def _paths(value: Any, path: tuple[str, ...] = ()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))


def _changed(
    sound: dict[str, Any], changes: list[tuple[tuple[str, ...], tuple[Any] | None]]
) -> dict[str, Any]:
    copy = json.loads(json.dumps(sound))
    for path, replacement in changes:
        inner = copy
        for key in path[:-1]:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            if replacement is None:
                inner.pop(path[-1], None)
            else:
                inner[path[-1]] = replacement[0]
    return copy

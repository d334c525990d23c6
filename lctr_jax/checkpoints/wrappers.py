"""Entries under which training scripts nest weights, and prefixes they add to names."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

NESTS = (
    "model",
    "state_dict",
    "model_state_dict",
    "teacher",
    "network",
    "net",
    "module",
    "params",
    "weights",
)
"""Entries with the weights, in order of precedence; for DINO's student and teacher, the teacher."""

EMA_NESTS = ("model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "ema")
"""Entries with a moving average of the weights."""

_PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "network.",
)  # of DistributedDataParallel, compile, ...
_DEEPEST = 8
_FIRST_TENSOR = re.compile(r"(?P<prefix>(?:.*?\.)??)(?:embeddings\.)?cls_token")


class Unwrapped(NamedTuple):
    """The entry with the weights, the names that lead to it, and all other entries on the way."""

    content: Any
    place: tuple[str, ...]
    beside: dict[str, Any]


def unwrap(content: Any, *, ema: bool) -> Unwrapped:
    """Follow the entries under which weights are nested; with `ema`, a moving average has precedence.

    Raises:
        ValueError: with `ema`, there is no moving average; or entries are nested too deeply.
    """
    order = (*EMA_NESTS, *NESTS) if ema else (*NESTS, *EMA_NESTS)
    place, beside = (), {}
    while isinstance(content, Mapping):
        nests = [name for name in order if isinstance(content.get(name), Mapping) and content[name]]
        if not nests:
            break
        if len(place) == _DEEPEST:
            raise ValueError(f"entries nested more than {_DEEPEST} deep: {' > '.join(place)}")
        beside |= {name: entry for name, entry in content.items() if name != nests[0]}
        place, content = (*place, nests[0]), content[nests[0]]
    if ema and not set(place) & set(EMA_NESTS):
        raise ValueError(
            f"--ema: got no moving average, expected an entry {', '.join(EMA_NESTS)}; leave --ema out"
        )
    return Unwrapped(content, place, beside)


def strip_prefixes(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Remove the prefixes of wrappers from tensor names.

    Prefixes shared by all names are removed first. If the network is part of a larger one, such as a
    Lightning module or DINO's backbone and head, its tensors lose the prefix of its CLS token; the others
    keep their names.

    Raises:
        ValueError: there are several networks, or two tensors get the same name.
    """
    stripped = dict(tensors)
    while prefix := next(
        (p for p in _PREFIXES if stripped and all(name.startswith(p) for name in stripped)), None
    ):
        stripped = {name.removeprefix(prefix): array for name, array in stripped.items()}
    found = sorted({match["prefix"] for name in stripped if (match := _FIRST_TENSOR.fullmatch(name))})
    if "teacher." in {prefix.partition(".")[0] + "." for prefix in found}:  # of DINO's two networks
        found = [prefix for prefix in found if prefix.startswith("teacher.")]
    if len(found) > 1 and "" not in found:
        raise ValueError(f"got several networks, under {', '.join(found)}; keep the tensors of one of them")
    if len(found) != 1 or not found[0]:
        return stripped
    inside = {
        name.removeprefix(found[0]): array for name, array in stripped.items() if name.startswith(found[0])
    }
    outside = {name: array for name, array in stripped.items() if not name.startswith(found[0])}
    if both := inside.keys() & outside.keys():
        raise ValueError(f"got two tensors for {min(both)!r}, one of them as {found[0] + min(both)!r}")
    return inside | outside

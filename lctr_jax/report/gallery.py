"""Selection of an evaluation's images for the report, in a streaming fashion."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.error_taxonomy import ERROR_TYPES

GROUPS = {"random": 24, "best": 18, "worst": 18}
"""Number of images in each group."""

PER_ERROR = 6
"""Number of additional images of each error type, so that each has examples."""

Key = tuple[float, ...]


@dataclass
class Shelf:
    """Keeps the items with the largest keys, at most `size`."""

    size: int
    _heap: list[tuple[Key, str, Any]] = field(default_factory=list)

    def wants(self, key: Key, name: str) -> bool:
        """Return whether such an item would be kept; ties are broken by name, which is unique."""
        return len(self._heap) < self.size or (key, name) > self._heap[0][:2]

    def put(self, key: Key, name: str, thing: Any) -> None:
        """Insert an item, replacing the one with the smallest key if the shelf is full."""
        add = heapq.heappush if len(self._heap) < self.size else heapq.heapreplace
        add(self._heap, (key, name, thing))

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the items, largest key first."""
        return (thing for _, _, thing in sorted(self._heap, key=lambda item: item[:2], reverse=True))


class Gallery:
    """Selects the best, the worst, random images, and random images of each error type, in constant memory.

    Best and worst are by IoU; ties, and images with unknown IoU, by the probability of a right or wrong
    class. The random choice depends only on the images' ids, not on their order.
    """

    def __init__(self) -> None:
        self._shelves = {name: Shelf(size) for name, size in GROUPS.items()}
        self._shelves |= {name: Shelf(PER_ERROR) for name in ERROR_TYPES}

    def add(self, result: Result) -> None:
        """Consider the next result, and keep it if it belongs to a group."""
        name = result.sample.id
        wanting = {
            shelf: key for shelf, key in _keys(result).items() if self._shelves[shelf].wants(key, name)
        }
        if wanting:
            result = result.detach()
            for shelf, key in wanting.items():
                self._shelves[shelf].put(key, name, result)

    def pictures(self) -> list[tuple[Result, Sequence[str]]]:
        """Return every selected image once, with its groups."""
        images: dict[str, Result] = {}
        groups: dict[str, list[str]] = {}
        for shelf, content in self._shelves.items():
            for result in content:
                images[result.sample.id] = result
                groups.setdefault(result.sample.id, []).extend([shelf] if shelf in GROUPS else [])
        return [(image, groups[name]) for name, image in images.items()]


def _keys(result: Result) -> dict[str, Key]:
    """Return the groups that a result may belong to, with its key in each."""
    iou = result.iou or 0.0
    sure = float(result.probability[0]) * (1 if result.sample.top1_correct else -1)
    chance: Key = (_chance(result.sample.id),)
    keys = {"best": (iou, sure), "worst": (-iou, -sure), "random": chance}
    return keys if result.error is None else keys | {result.error: chance}


def _chance(name: str) -> float:
    """Return a number in [0, 1) that depends only on the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest()) / 2**48

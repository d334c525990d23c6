"""Which images of an evaluation are worth looking at, chosen while they stream by."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.error_taxonomy import ERROR_TYPES

GROUPS = {"random": 24, "best": 18, "worst": 18}
"""How many images each group keeps."""

PER_ERROR = 6
"""How many images of each error type are kept on top, so that none is without an example."""

Key = tuple[float, ...]


@dataclass
class Shelf:
    """Keeps the things of largest key, `size` at most."""

    size: int
    _heap: list[tuple[Key, str, Any]] = field(default_factory=list)

    def wants(self, key: Key, name: str) -> bool:
        """Whether such a thing would be kept now; names, which are unique, break ties."""
        return len(self._heap) < self.size or (key, name) > self._heap[0][:2]

    def put(self, key: Key, name: str, thing: Any) -> None:
        """Keep a wanted thing in place of the least."""
        add = heapq.heappush if len(self._heap) < self.size else heapq.heapreplace
        add(self._heap, (key, name, thing))

    def __iter__(self) -> Iterator[Any]:
        """Largest key first."""
        return (thing for _, _, thing in sorted(self._heap, key=lambda item: item[:2], reverse=True))


class Gallery:
    """The best, the worst, random images and random ones of each error type; memory does not grow.

    Best and worst go by IoU and, where that is equal or unknown, by how sure the network was of the right or
    wrong class. The random choice depends on the images' ids alone, not on their order.
    """

    def __init__(self) -> None:
        self._shelves = {name: Shelf(size) for name, size in GROUPS.items()}
        self._shelves |= {name: Shelf(PER_ERROR) for name in ERROR_TYPES}

    def add(self, result: Result) -> None:
        """Look at the next result, and keep it if it belongs here."""
        name = result.sample.id
        wanting = {
            shelf: key for shelf, key in _keys(result).items() if self._shelves[shelf].wants(key, name)
        }
        if wanting:
            result = result.detach()
            for shelf, key in wanting.items():
                self._shelves[shelf].put(key, name, result)

    def pictures(self) -> list[tuple[Result, Sequence[str]]]:
        """Every kept image once, with the groups that it is in."""
        images: dict[str, Result] = {}
        groups: dict[str, list[str]] = {}
        for shelf, content in self._shelves.items():
            for result in content:
                images[result.sample.id] = result
                groups.setdefault(result.sample.id, []).extend([shelf] if shelf in GROUPS else [])
        return [(image, groups[name]) for name, image in images.items()]


def _keys(result: Result) -> dict[str, Key]:
    """The shelves that a result may go to, and where it stands on each."""
    iou = result.iou or 0.0
    sure = float(result.probability[0]) * (1 if result.sample.top1_correct else -1)
    chance: Key = (_chance(result.sample.id),)
    keys = {"best": (iou, sure), "worst": (-iou, -sure), "random": chance}
    return keys if result.error is None else keys | {result.error: chance}


def _chance(name: str) -> float:
    """A number in [0, 1) that is the image's own."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest()) / 2**48

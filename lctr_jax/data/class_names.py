"""Match a data set's classes with a checkpoint's by name, so that a label means the same class in both."""

import dataclasses
from collections.abc import Sequence
from typing import Any, SupportsIndex

from lctr_jax.data.datasets import Split


class ClassMismatchError(ValueError):
    """The classes of a data set and a checkpoint differ; `subset`: the data set only lacks some classes."""

    def __init__(self, message: str, *, subset: bool = False):
        super().__init__(message)
        self.subset = subset


@dataclasses.dataclass(frozen=True)
class Relabeled:
    """A data source with label i replaced by `labels[i]`."""

    source: Any
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        record = self.source[index]
        return {**record, "label": self.labels[int(record["label"])]}


def match_class_names(split: Split, names: Sequence[str], *, subset: bool = False) -> Split:
    """Return the split with `names` as its classes and its labels mapped to them by name.

    Args:
        split: the data.
        names: class names of a network in the order of its logits.
        subset: accept data that has only some of the classes.

    Raises:
        ClassMismatchError: the data has classes that are not among the names, lacks some, or names are not
            unique.
    """
    if list(split.class_names) == list(names):
        return split
    places = {name: label for label, name in enumerate(names)}
    unknown = [name for name in split.class_names if name not in places]
    missing = [] if subset else sorted(set(names) - set(split.class_names))
    if unknown or missing:
        parts = {"the checkpoint lacks": unknown, "the data set lacks": missing}
        difference = "; ".join(f"{words} {_some(found)}" for words, found in parts.items() if found)
        raise ClassMismatchError(
            f"classes: the data set has {len(split.class_names)}, the checkpoint {len(names)}, "
            f"and they differ: {difference}",
            subset=not unknown,
        )
    if len(places) < len(names) or len(set(split.class_names)) < len(split.class_names):
        raise ClassMismatchError(
            "classes: in another order, with repeated names, so they cannot be matched by name"
        )
    labels = tuple(places[name] for name in split.class_names)
    return dataclasses.replace(split, class_names=list(names), source=Relabeled(split.source, labels))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more

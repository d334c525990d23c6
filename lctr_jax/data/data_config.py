"""`config.data`."""

from dataclasses import dataclass, field
from typing import Annotated

from lctr_jax.data.feeding import AUTO
from lctr_jax.host.paths import expand_text
from lctr_jax.options.ranges import Choice, check_options


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which data set, and how it is read.

    Attributes:
        name: of the data set, as `datasets.open_split` takes it; a module path for one from outside.
        root: the image folder of `folder`, or what a builder from outside reads.
        boxes: box lists by split, where the data set's own place holds none; empty: its own.
        data_dir: where prepared data sets are kept.
        train_split: what to train on.
        num_workers: processes that decode and augment, or "auto", by what the host has; 0: threads of the
            training process.
        exif: whether `folder` turns images upright by their EXIF orientation: "auto" (where the split has
            neither a box list nor masks), "upright" or "stored".
        on_corrupt: an unreadable training image ends the run ("error") or is replaced and logged ("skip").
    """

    name: str = "cub"
    root: str = ""
    boxes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("train", "val", "test"), ""))
    data_dir: str = "data"
    train_split: str = "train"
    num_workers: int | str = AUTO
    on_corrupt: Annotated[str, Choice("error", "skip")] = "error"
    exif: Annotated[str, Choice("auto", "upright", "stored")] = "auto"

    def __post_init__(self) -> None:
        """Expand `~` in paths, and refuse what cannot be read, before anything is prepared.

        Raises:
            ValueError: naming the option, what it is and what it should be.
        """
        for name in ("root", "data_dir"):
            object.__setattr__(self, name, expand_text(getattr(self, name)))
        object.__setattr__(self, "boxes", {split: expand_text(path) for split, path in self.boxes.items()})
        is_count = isinstance(self.num_workers, int) and not isinstance(self.num_workers, bool)
        if self.num_workers != AUTO and not (is_count and int(self.num_workers) >= 0):
            raise ValueError(f"data.num_workers: got {self.num_workers}, expected 0 or more, or {AUTO!r}")
        check_options("data", self)

"""Options of `config.data`."""

from dataclasses import dataclass, field
from typing import Annotated

from lctr_jax.data.feeding import AUTO
from lctr_jax.host.paths import expand_text
from lctr_jax.options.ranges import Choice, check_options


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The data set, and how it is read.

    Attributes:
        name: name of the data set for `datasets.open_split`; a module path for one from outside the package.
        root: the image folder of `folder`, or the source of a builder from outside.
        boxes: box lists by split, for data sets without their own lists; empty entries are ignored.
        data_dir: folder of prepared data sets.
        train_split: the split to train on.
        num_workers: number of processes that decode and augment; "auto" depends on the host, 0 uses threads
            of the training process.
        exif: whether `folder` rotates images by their EXIF orientation: "auto" (if the split has neither a
            box list nor masks), "upright" or "stored".
        on_corrupt: "error" ends the run at an unreadable training image; "skip" replaces and logs it.
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
        """Expand `~` in paths, and check the options before anything is prepared.

        Raises:
            ValueError: an option is invalid; the message names it, its value and what is expected.
        """
        for name in ("root", "data_dir"):
            object.__setattr__(self, name, expand_text(getattr(self, name)))
        object.__setattr__(self, "boxes", {split: expand_text(path) for split, path in self.boxes.items()})
        is_count = isinstance(self.num_workers, int) and not isinstance(self.num_workers, bool)
        if self.num_workers != AUTO and not (is_count and int(self.num_workers) >= 0):
            raise ValueError(f"data.num_workers: got {self.num_workers}, expected 0 or more, or {AUTO!r}")
        check_options("data", self)

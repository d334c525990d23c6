"""`config.data`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which data set, and how it is read.

    Attributes:
        name: of the data set, as `datasets.open_split` takes it.
        root: the image folder of `folder`.
        boxes: box lists by split, where the data set's own place holds none; empty: its own.
        data_dir: where prepared data sets are kept.
        train_split: what to train on.
        num_workers: processes that decode and augment; 0: threads of the training process.
        on_corrupt: an unreadable training image ends the run ("error") or is replaced and logged ("skip").
    """

    name: str = "cub"
    root: str = ""
    boxes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("train", "val", "test"), ""))
    data_dir: str = "data"
    train_split: str = "train"
    num_workers: int = 0
    on_corrupt: str = "error"

    def __post_init__(self) -> None:
        """Refuse what cannot be read, before anything is prepared.

        Raises:
            ValueError: naming the option, what it is and what it should be.
        """
        if self.num_workers < 0:
            raise ValueError(f"data.num_workers: got {self.num_workers}, expected 0 or more")
        if self.on_corrupt not in ("error", "skip"):
            raise ValueError(f"data.on_corrupt: got {self.on_corrupt!r}, expected 'error' or 'skip'")

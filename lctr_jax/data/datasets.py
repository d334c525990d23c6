"""Open a split of a named dataset for random access, preparing it first where that is cheap."""

import contextlib
import dataclasses
import difflib
import fcntl
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds

from lctr_jax.data.digits.builder import Digits
from lctr_jax.data.folder.builder import Folder

NAMES = ("digits", "digits/clean", "folder")


@dataclasses.dataclass(frozen=True)
class Split:
    """Records of one split, by index; small to pickle, and a source for `grain.MapDataset.source`.

    A record holds `image` (the encoded bytes as published), `id`, `label`, `boxes_xyxy` (float32 [n, 4], in
    pixels of the original image, n = 0 where unknown) and, where there is one, `mask` (PNG bytes).
    """

    name: str
    class_names: list[str]
    has_boxes: bool
    has_masks: bool
    source: Any  # a TFDS ArrayRecord data source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        record = self.source[index]
        record |= {"id": record["id"].decode(), "label": int(record["label"])}
        if not record.get("mask"):  # empty where other images of the dataset have one
            record.pop("mask", None)
        return record


def open_split(
    name: str,
    split: str,
    *,
    data_dir: str | Path,
    root: str | Path | None = None,
    boxes: Mapping[str, str | Path] | None = None,
) -> Split:
    """Open a split, by its name or as a part of one in TFDS's syntax (`train[10%:]`).

    Args:
        name: one of `NAMES`.
        split: what the dataset calls it.
        data_dir: where prepared datasets are kept; `digits` and `folder` are prepared there on first use.
        root: the image folder of `folder`.
        boxes: box lists of `folder` by split, where they are not in `ROOT/list`.

    Raises:
        FileNotFoundError: the images are not there.
        ValueError: the dataset or the split is unknown, or the images or boxes are faulty.
    """
    data_dir = Path(data_dir).expanduser().resolve()
    match name:
        case "digits" | "digits/clean":
            style = name.removeprefix("digits").strip("/") or "scenes"
            config = next(config for config in Digits.BUILDER_CONFIGS if config.style == style)
            return _split(_prepare(lambda: Digits(data_dir=data_dir, config=config), data_dir), split)
        case "folder":
            if not root:
                raise ValueError("data.root: got nothing, expected the image folder of data.name='folder'")
            return _split(
                _prepare(lambda: Folder(root=root, data_dir=data_dir, boxes=boxes), data_dir), split
            )
    close = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(NAMES)}"
    raise ValueError(f"data.name: no dataset is called {name!r}; {hint}")


def _prepare(make_builder: Callable[[], tfds.core.DatasetBuilder], data_dir: Path) -> Path:
    """Prepare a dataset unless it is there, one process at a time, and return its folder."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with _locked(data_dir / ".preparing.lock"), contextlib.redirect_stdout(sys.stderr):
        builder = make_builder()  # under the lock, for it looks for the finished dataset
        builder.download_and_prepare(file_format="array_record")
    return Path(builder.data_dir)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _split(folder: Path, split: str) -> Split:
    """Open a prepared dataset's split."""
    builder: Any = tfds.builder_from_directory(folder)
    base = split.partition("[")[0]
    if base not in builder.info.splits:
        raise ValueError(f"data split: {builder.name} has {', '.join(builder.info.splits)}; got {split!r}")
    features, metadata = builder.info.features, builder.info.metadata
    encoded = {key: tfds.decode.SkipDecoding() for key in ("image", "mask") if key in features}
    return Split(
        name=split,
        class_names=list(features["label"].names),
        has_boxes=base in metadata["splits_with_boxes"],
        has_masks=base in metadata["splits_with_masks"],
        source=builder.as_data_source(split, decoders=encoded),
    )

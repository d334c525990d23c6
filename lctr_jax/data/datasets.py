"""Open a split of a named dataset for random access, preparing it first where that is cheap."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds

from lctr_jax.data.digits import builder as digits
from lctr_jax.data.digits import drawing


@dataclasses.dataclass(frozen=True)
class Split:
    """Records of one split, by index; small to pickle, and a source for `grain.MapDataset.source`.

    A record holds `image` (the encoded bytes as published), `id`, `label`, `boxes_xyxy` (float32 [n, 4], in
    pixels of the original image, n = 0 where unknown) and, in datasets with masks, `mask` (PNG bytes).
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
        return {**record, "id": record["id"].decode(), "label": int(record["label"])}


def open_split(name: str, split: str, *, data_dir: str | Path, root: str | Path | None = None) -> Split:
    """Return a split of `digits`, or `digits/clean`.

    Raises:
        ValueError: the dataset or the split is not known.
    """
    builder = _builder(name, data_dir=Path(data_dir).expanduser())
    builder.download_and_prepare(file_format="array_record")
    return _split(builder, split)


def _builder(name: str, *, data_dir: Path) -> tfds.core.DatasetBuilder:
    match name:
        case "digits" | "digits/scenes":
            return digits.Digits(
                config=digits.DigitsConfig.from_scene("scenes", drawing.SCENES), data_dir=data_dir
            )
        case "digits/clean":
            return digits.Digits(
                config=digits.DigitsConfig.from_scene("clean", drawing.CLEAN), data_dir=data_dir
            )
    raise ValueError(f"data.name: no dataset is called {name!r}{_nearest(name, ['digits', 'digits/clean'])}")


def _split(builder: tfds.core.DatasetBuilder, split: str) -> Split:
    known = list(builder.info.splits)
    if split not in known:
        raise ValueError(f"data split: {builder.name} has {', '.join(known)}, not {split!r}")
    features = builder.info.features
    encoded = {key: tfds.decode.SkipDecoding() for key in ("image", "mask") if key in features}
    return Split(
        name=split,
        class_names=list(features["label"].names),
        has_boxes=True,
        has_masks="mask" in features,
        source=builder.as_data_source(split, decoders=encoded),
    )


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"

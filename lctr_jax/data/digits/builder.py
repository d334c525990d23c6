"""The TFDS builder of `digits`."""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int

from lctr_jax.data import records
from lctr_jax.data.digits import drawing

_SPLITS = ["train", "val", "test"]
_SOURCE_SHARES = (0.60, 0.15)  # shares of each class's source digits in train and val; the rest is test
_SEED = 2022


@dataclasses.dataclass(eq=False)
class DigitsConfig(tfds.core.BuilderConfig):
    """A scene style; its name depends on the drawing code, so that outdated images are never used."""

    name: str = ""  # derived from the style
    style: str = ""

    def __post_init__(self):
        content = repr(drawing.STYLES[self.style]) + inspect.getsource(drawing)
        self.name = f"{self.style}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class Digits(tfds.core.ShardBasedBuilder):
    """scikit-learn's 1,797 digits, placed by `drawing.draw`; splits share no source digit."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [DigitsConfig(style=style) for style in drawing.STYLES]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.features(names=[str(digit) for digit in range(10)], masks=True),
            metadata=tfds.core.MetadataDict(splits_with_boxes=_SPLITS, splits_with_masks=_SPLITS),
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict[str, list]:
        del dl_manager
        config: Any = self.builder_config
        scene = drawing.STYLES[config.style]
        return {split: [functools.partial(_examples, split, scene)] for split in _SPLITS}


def _examples(split: str, scene: drawing.Scene) -> Iterator[tuple[str, dict[str, Any]]]:
    from sklearn.datasets import load_digits  # a second, for which nobody waits once the digits are prepared

    loaded = load_digits(return_X_y=True)
    rasters, labels = (np.asarray(column) for column in loaded)
    pool = source_digits(labels)[split]
    glyphs = {int(index): drawing.enlarge(rasters[index].reshape(8, 8) / 16.0) for index in pool}
    for number in range(scene.num_examples[_SPLITS.index(split)]):
        rng = np.random.default_rng([_SEED, _SPLITS.index(split), number])
        index = int(rng.choice(pool))
        picture = drawing.draw(glyphs[index], scene, rng)
        example_id = f"{split}/{number:05d}_digit{index:04d}"
        example = {"id": example_id, "label": int(labels[index])}
        yield example_id, example | _encode(picture, jpeg_quality=scene.jpeg_quality)


def source_digits(labels: Int[np.ndarray, " num_digits"]) -> dict[str, Int[np.ndarray, "..."]]:
    """Split the source digits' indices into train, val and test, class by class."""
    rng = np.random.default_rng(_SEED)
    dealt: dict[str, list[np.ndarray]] = {split: [] for split in _SPLITS}
    for label in np.unique(labels):
        indices = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(_SOURCE_SHARES) * len(indices)).astype(int)
        for split, part in zip(_SPLITS, np.split(indices, cuts), strict=True):
            dealt[split].append(part)
    return {split: np.concatenate(parts) for split, parts in dealt.items()}


def _encode(picture: drawing.MaskedImage, *, jpeg_quality: int) -> dict[str, Any]:
    jpeg = cv2.imencode(".jpg", picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1]
    png = cv2.imencode(".png", picture.mask)[1]
    return {
        "image": jpeg.tobytes(),
        "mask": png.tobytes(),
        "boxes_xyxy": drawing.tight_box(picture.mask)[None],
    }

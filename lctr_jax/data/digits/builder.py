"""The TFDS builder of `digits`."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int
from sklearn.datasets import load_digits

from lctr_jax.data.digits import drawing

_SPLITS = ("train", "val", "test")
_SOURCE_SHARES = (0.60, 0.15)  # of each class's source digits that go to train and to val; test has the rest
_SEED = 2022


@dataclasses.dataclass(eq=False)
class DigitsConfig(tfds.core.BuilderConfig):
    """A scene style under a name that changes with it, so that no stale pictures are ever read."""

    scene: drawing.Scene = drawing.SCENES

    @classmethod
    def from_scene(cls, name: str, scene: drawing.Scene) -> "DigitsConfig":
        """Name the configuration after the style and a digest of every field of its scene."""
        return cls(name=f"{name}-{hashlib.sha256(repr(scene).encode()).hexdigest()[:8]}", scene=scene)


class Digits(tfds.core.GeneratorBasedBuilder):
    """scikit-learn's 1,797 digits, placed by `drawing.draw`; splits share no source digit."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "id": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                    "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
                    "mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                }
            )
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager
        return {split: self._generate_examples(split) for split in _SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        scene = self.builder_config.scene
        source = load_digits()
        pool = source_digits(source.target)[split]
        glyphs = {int(index): drawing.enlarge(source.images[index] / 16.0) for index in pool}
        for number in range(scene.num_examples[_SPLITS.index(split)]):
            rng = np.random.default_rng([_SEED, _SPLITS.index(split), number])
            index = int(rng.choice(pool))
            picture = drawing.draw(glyphs[index], scene, rng)
            example = _encode(picture, jpeg_quality=scene.jpeg_quality)
            example_id = f"{split}/{number:05d}_digit{index:04d}"
            yield example_id, example | {"id": example_id, "label": int(source.target[index])}


def source_digits(labels: Int[np.ndarray, " num_digits"]) -> dict[str, Int[np.ndarray, "..."]]:
    """Deal the source digits' indices to train, val and test, class by class."""
    rng = np.random.default_rng(_SEED)
    dealt: dict[str, list[np.ndarray]] = {split: [] for split in _SPLITS}
    for label in np.unique(labels):
        indices = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(_SOURCE_SHARES) * len(indices)).astype(int)
        for split, part in zip(_SPLITS, np.split(indices, cuts), strict=True):
            dealt[split].append(part)
    return {split: np.concatenate(parts) for split, parts in dealt.items()}


def _encode(picture: drawing.Picture, *, jpeg_quality: int) -> dict[str, Any]:
    jpeg = cv2.imencode(".jpg", picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1]
    png = cv2.imencode(".png", picture.mask)[1]
    return {
        "image": jpeg.tobytes(),
        "mask": png.tobytes(),
        "boxes_xyxy": drawing.tight_box(picture.mask)[None],
    }

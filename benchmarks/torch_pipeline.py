"""The published augmentation in PyTorch: DataLoader, torchvision, PIL and timm."""

import io
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image, ImageOps
from timm.data import create_transform
from torch.utils.data import DataLoader, Dataset, Sampler


class Photographs(Dataset):
    """Decodes, crops, flips, applies RandAugment, normalizes and erases on the host, as published."""

    def __init__(self, records: list[dict[str, Any]], image_size: int):
        self.records = records
        self.transform: Any = create_transform(
            image_size,
            is_training=True,
            color_jitter=0.4,  # no effect together with RandAugment
            auto_augment="rand-m9-mstd0.5-inc1",
            interpolation="bicubic",
            re_prob=0.25,
            re_mode="pixel",
            re_count=1,
        )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        record = self.records[index]
        image = Image.open(io.BytesIO(record["image"])).convert("RGB")
        return self.transform(image), record["label"]


class RepeatedAugmentation(Sampler):
    """Yields permutations with every index three times in a row."""

    def __init__(self, num_examples: int):
        self.num_examples = num_examples

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.randperm(self.num_examples).repeat_interleave(3).tolist()


def torch_batches(
    records: list[dict[str, Any]], *, batch_size: int, image_size: int, num_workers: int
) -> Iterator[Any]:
    """Return endless batches of normalized float images."""
    loader = DataLoader(
        Photographs(records, image_size),
        batch_size=batch_size,
        sampler=RepeatedAugmentation(len(records)),
        num_workers=num_workers,
        worker_init_fn=_allow_black_posters,
        # Not forked, because this process has threads of the other side.
        multiprocessing_context="spawn",
    )
    return iter(loader)


def _allow_black_posters(worker: int) -> None:
    """Let timm's "posterize" request 0 bits, as at magnitude 10, which Pillow 12 and later refuse."""
    posterize = ImageOps.posterize
    ImageOps.posterize = lambda image, bits: posterize(image, max(1, bits))

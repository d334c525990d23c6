"""The published data sets that `python -m lctr_jax.prepare NAME` builds: one entry for each."""

from dataclasses import dataclass
from typing import Any

from lctr_jax.data.aircraft import builder as aircraft
from lctr_jax.data.aircraft.builder import Aircraft
from lctr_jax.data.cars import builder as cars
from lctr_jax.data.cars.builder import Cars
from lctr_jax.data.cub import release as cub
from lctr_jax.data.cub.builder import Cub
from lctr_jax.data.dogs import builder as dogs
from lctr_jax.data.dogs.builder import Dogs
from lctr_jax.data.imagenet import release as imagenet
from lctr_jax.data.imagenet.builder import Imagenet
from lctr_jax.data.openimages import release as openimages
from lctr_jax.data.openimages.builder import Openimages
from lctr_jax.data.tiny_imagenet import builder as tiny_imagenet
from lctr_jax.data.tiny_imagenet.builder import TinyImagenet


@dataclass(frozen=True, kw_only=True)
class PublishedDataset:
    """A published data set.

    Attributes:
        builder: a `RecordBuilder`, called with `source`, `data_dir`, `num_processes`, `decode`, `partial` and
            the options of `takes`, all by keyword.
        how_to_get: what to download, and into what folder.
        takes: options of `prepare` for this data set, besides those that all of them take.
        needs: options without which it cannot be prepared.
        boxes_of: the split whose box list `--boxes` gives, if the data set takes one.
    """

    builder: type[Any]
    how_to_get: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("source",)
    boxes_of: str | None = None


PUBLISHED_DATASETS = {
    "cub": PublishedDataset(
        builder=Cub,
        how_to_get=cub.HOW_TO_GET,
        takes=("heldout", "metadata", "segmentations", "splits"),
        needs=(),
    ),
    "imagenet": PublishedDataset(
        builder=Imagenet,
        how_to_get=imagenet.HOW_TO_GET,
        takes=("boxes", "heldout", "metadata", "splits"),
        boxes_of="val",
    ),
    "tiny_imagenet": PublishedDataset(builder=TinyImagenet, how_to_get=tiny_imagenet.HOW_TO_GET),
    "dogs": PublishedDataset(builder=Dogs, how_to_get=dogs.HOW_TO_GET),
    "cars": PublishedDataset(builder=Cars, how_to_get=cars.HOW_TO_GET),
    "aircraft": PublishedDataset(builder=Aircraft, how_to_get=aircraft.HOW_TO_GET),
    "openimages": PublishedDataset(
        builder=Openimages,
        how_to_get=openimages.HOW_TO_GET,
        takes=("metadata", "splits"),
        needs=("source", "metadata"),
    ),
}

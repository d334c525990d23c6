"""The TFDS builder of `openimages`."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from lctr_jax.data import record_builder, records
from lctr_jax.data.checks import Checks
from lctr_jax.data.openimages import release


class Openimages(record_builder.RecordBuilder):
    """OpenImages30k as wsoleval publishes it: images, instance masks and ignored regions.

    Args:
        source: wsoleval's `dataset/OpenImages`, the folder of `train/`, `val/` and `test/`.
        metadata: wsoleval's `metadata/OpenImages`.
        splits: `("val", "test")` for evaluation alone, without training images; None for all.
        data_dir: folder of prepared data sets.
        num_processes: number of writing processes.
        decode: decode every image to find damaged ones now; otherwise only read their headers.
        partial: accept fewer images than were published.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        source: Path,
        metadata: Path,
        data_dir: Path,
        splits: Sequence[str] | None = None,
        num_processes: int = 1,
        decode: bool = True,
        partial: bool = False,
    ):
        self._source, self._lists = source, metadata
        super().__init__(
            data_dir=data_dir,
            masks=True,
            checks=Checks(decode=decode, any_mask=True),
            num_processes=num_processes,
            num_images=release.NUM_IMAGES,
            splits=splits,
            partial=partial,
            options=record_builder.describe_options(source=source, metadata=metadata, decode=decode),
        )

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        return release.list_splits(
            self._source,
            self._lists,
            splits=self._num_images,
            partial=self._partial,
            scratch=self._unfinished,
        )

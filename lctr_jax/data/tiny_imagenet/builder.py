"""The TFDS builder of `tiny_imagenet`."""

from pathlib import Path

import tensorflow_datasets as tfds

from lctr_jax.data import archives, record_builder, records
from lctr_jax.data.checks import Checks
from lctr_jax.data.tiny_imagenet import release


class TinyImagenet(record_builder.RecordBuilder):
    """Tiny ImageNet from its published archive or folder.

    Args:
        source: `tiny-imagenet-200.zip`, its folder, or a folder that contains either.
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
        data_dir: Path,
        num_processes: int = 1,
        decode: bool = True,
        partial: bool = False,
    ):
        self._source = release.find_release(source)
        super().__init__(
            data_dir=data_dir,
            masks=False,
            checks=Checks(decode=decode),
            num_processes=num_processes,
            num_images=release.NUM_IMAGES,
            partial=partial,
            options=record_builder.describe_options(source=self._source, decode=decode),
        )

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        return release.read_manifest(archives.list_files(self._source, scratch=self._unfinished))

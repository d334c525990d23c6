"""The TFDS builder of `cub`."""

import socket
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from lctr_jax.data import archives, held_out, record_builder, records
from lctr_jax.data.checks import Checks
from lctr_jax.data.cub import release, wsoleval_layout


class Cub(record_builder.RecordBuilder):
    """CUB-200-2011 from its published files, optionally with CUBV2 as the split `heldout`.

    Args:
        source: `CUB_200_2011.tgz`, its folder, or a folder that contains either; None downloads it.
        data_dir: folder of prepared data sets.
        metadata: wsoleval's `metadata/CUB`, if the source is its `dataset/CUB`: class folders without lists.
        segmentations: `segmentations.tgz` or its folder; None looks for it next to the release.
        splits: `("test",)` for evaluation alone, without training images; None for all.
        heldout: CUBV2's images, a folder or archive, and the folder of its lists.
        num_processes: number of writing processes.
        decode: decode every image to find damaged ones now; otherwise only read their headers.
        partial: accept fewer images than were published.
    """

    VERSION = tfds.core.Version("1.0.0")
    url_infos: ClassVar = release.URL_INFOS  # pyright: ignore[reportIncompatibleVariableOverride]  as TFDS asks

    def __init__(
        self,
        *,
        source: Path | None,
        data_dir: Path,
        metadata: Path | None = None,
        segmentations: Path | None = None,
        splits: Sequence[str] | None = None,
        heldout: tuple[Path, Path] | None = None,
        num_processes: int = 1,
        decode: bool = True,
        partial: bool = False,
    ):
        if metadata and not source:
            raise ValueError(f"--metadata: got {metadata} without images; give --source, such as dataset/CUB")
        find = release.find_class_folders if metadata else release.find_release
        self._source, self._lists = find(source) if source else None, metadata
        self._segmentations = segmentations or (release.find_segmentations(source) if source else None)
        self._heldout = heldout
        super().__init__(
            data_dir=data_dir,
            masks=self._segmentations is not None or self._source is None,
            checks=Checks(
                decode=decode, box_slack=None
            ),  # 16 published boxes extend up to 32 pixels beyond their image
            num_processes=num_processes,
            read_mask=release.read_mask,
            num_images=release.NUM_IMAGES,
            splits=splits,
            partial=partial,
            options=record_builder.describe_options(
                source=self._source,
                metadata=metadata,
                segmentations=self._segmentations,
                heldout=heldout,
                decode=decode,
            ),
        )

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        source, segmentations = self._source, self._segmentations
        if source is None:
            source, segmentations = _download(dl_manager)
        masks = archives.list_files(segmentations, scratch=self._unfinished) if segmentations else {}
        if self._lists:
            manifest = wsoleval_layout.list_class_folders(
                source, self._lists, masks, splits=self._num_images, scratch=self._unfinished
            )
        else:
            files = archives.list_files(source, scratch=self._unfinished)
            manifest = release.read_manifest(files, masks, splits=self._num_images)
        held_out.add_to(
            manifest, self._heldout, source=source, metadata=self._lists, scratch=self._unfinished
        )
        return manifest


def _download(dl_manager: tfds.download.DownloadManager) -> tuple[Path, Path]:
    """Download the archives of images and segmentations and verify their published checksums."""
    try:
        _reach(release.IMAGES_URL)
        downloads: Any = dl_manager.download([release.IMAGES_URL, release.SEGMENTATIONS_URL])
    except (OSError, tfds.download.DownloadError, NonMatchingChecksumError) as error:
        raise FileNotFoundError(
            f"cub: the download failed ({error}): {release.HOW_TO_GET} and give `--source DIR`"
        ) from error
    return Path(downloads[0]), Path(downloads[1])


def _reach(url: str) -> None:
    """Fail immediately without a network connection; TFDS would retry for minutes."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname and not urllib.request.getproxies():
        try:
            socket.create_connection((parts.hostname, parts.port or 443), timeout=10).close()
        except OSError as error:
            raise ConnectionError(f"{parts.hostname} cannot be reached") from error

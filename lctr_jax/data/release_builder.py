"""Base class of data sets published as a few archives: `tiny_imagenet`, `dogs`, `cars`, `aircraft`."""

import abc
from pathlib import Path, PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from lctr_jax.data import archives, record_builder, records
from lctr_jax.data.checks import Checks


class ReleaseBuilder(record_builder.RecordBuilder, skip_registration=True):
    """A data set of images and one box per object, read from a folder of its archives or of their contents.

    A subclass sets `VERSION` and the two constants, and lists the images in `_read_release`.

    Args:
        source: the folder, or the archive if there is one only.
        data_dir: folder of prepared data sets.
        num_processes: number of writing processes.
        decode: decode every image to find damaged ones now; otherwise only read their headers.
        partial: accept fewer images than were published.
    """

    ARCHIVES: ClassVar[tuple[str, ...]]
    NUM_IMAGES: ClassVar[dict[str, int]]

    def __init__(
        self,
        *,
        source: Path,
        data_dir: Path,
        num_processes: int = 1,
        decode: bool = True,
        partial: bool = False,
    ):
        self._source = source
        super().__init__(
            data_dir=data_dir,
            masks=False,
            checks=Checks(decode=decode, box_slack=None),  # published boxes are used as they are
            num_processes=num_processes,
            num_images=self.NUM_IMAGES,
            partial=partial,
            options=record_builder.describe_options(source=source, decode=decode),
        )

    @abc.abstractmethod
    def _read_release(self, files: "ReleaseFiles") -> records.Manifest:
        """List the items of `train` and of the split to test on.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a list cannot be read.
        """

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        manifest = self._read_release(ReleaseFiles(self._source, self.ARCHIVES, scratch=self._unfinished))
        manifest.splits["train"] = records.stratify(manifest.splits["train"])
        return manifest


class ReleaseFiles(dict[str, records.ByteRange]):
    """The files of a release by name, and by folder and name: `file.mat`, `images/1.jpg`.

    Args:
        source: the folder, or an archive.
        names: the published archives, each of which may be extracted.
        scratch: folder for decompressed archives.

    Raises:
        FileNotFoundError: there is no such source; also when a file is requested that is in none of them.
    """

    def __init__(self, source: Path, names: tuple[str, ...], *, scratch: Path):
        super().__init__()
        self._missing = f"is not in {source}; expected {', '.join(names)}, packed or extracted"
        for place in [source, *(source / name for name in names if (source / name).is_file())]:
            for path, file in archives.list_files(place, scratch=scratch).items():
                parts = PurePosixPath(path).parts
                self.setdefault(parts[-1], file)
                self.setdefault("/".join(parts[-2:]), file)

    def __missing__(self, name: str) -> records.ByteRange:
        raise FileNotFoundError(f"{name} {self._missing}")

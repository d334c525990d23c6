"""The TFDS builder of `folder`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from lctr_jax.data import record_builder, records
from lctr_jax.data.checks import Checks
from lctr_jax.data.folder import tree


class Folder(record_builder.RecordBuilder):
    """Images in class folders; kept under a name that changes with any file of them.

    Args:
        root: the image folder, laid out as `tree.read_folder` says.
        data_dir: where prepared datasets are kept.
        boxes: box lists by split, for lists that are not in `ROOT/list`.
        exif: whether EXIF turns the images, as `tree.read_folder` says.
        num_processes: how many processes write.
        decode: decode every image to find the damaged ones now; else only read their headers.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        root: str | Path,
        data_dir: str | Path,
        boxes: Mapping[str, str | Path] | None = None,
        exif: tree.Exif = "auto",
        num_processes: int = 1,
        decode: bool = True,
    ):
        root = Path(root).expanduser().resolve()
        self.manifest = tree.read_folder(root, boxes or {}, exif=exif)
        super().__init__(
            data_dir=Path(data_dir, f"{root.name}-{_fingerprint(self.manifest)}"),
            masks=any(item.mask for items in self.manifest.splits.values() for item in items),
            checks=Checks(decode=decode),
            num_processes=num_processes,
        )

    @property
    def notes(self) -> list[str]:
        """Of the folder as it is now: files that are not images may have come since it was prepared."""
        metadata: Any = self.info.metadata
        return [*self.manifest.notes, *metadata.get("pixel_notes", ())]

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        return self.manifest


def _fingerprint(manifest: records.Manifest) -> str:
    """Change with any name, size, time of change or box in the folder."""
    digest = hashlib.sha256(repr(manifest.class_names).encode())
    for split, items in manifest.splits.items():
        digest.update(split.encode())
        for item in items:
            digest.update(item.digest())
    return digest.hexdigest()[:8]

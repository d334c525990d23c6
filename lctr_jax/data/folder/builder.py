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
    """Images in class folders; stored under a name that changes with any of their files.

    Args:
        root: the image folder, in the layout described in `tree.read_folder`.
        data_dir: folder of prepared data sets.
        boxes: box lists by split, for lists that are not in `ROOT/list`.
        exif: whether to rotate images by EXIF, see `tree.read_folder`.
        num_processes: number of writing processes.
        decode: decode every image to find damaged ones now; otherwise only read their headers.
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
        """Notes on the current state of the folder: files that are not images may have been added later."""
        metadata: Any = self.info.metadata
        return [*self.manifest.notes, *metadata.get("pixel_notes", ())]

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        return self.manifest


def _fingerprint(manifest: records.Manifest) -> str:
    """Return a hash that changes with any name, size, modification time or box in the folder."""
    digest = hashlib.sha256(repr(manifest.class_names).encode())
    for split, items in manifest.splits.items():
        digest.update(split.encode())
        for item in items:
            digest.update(item.digest())
    return digest.hexdigest()[:8]

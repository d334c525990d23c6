"""The TFDS builder of `imagenet`."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from lctr_jax.data import archives, held_out, record_builder, records
from lctr_jax.data.checks import Checks
from lctr_jax.data.imagenet import release, synsets


class Imagenet(record_builder.RecordBuilder):
    """ILSVRC2012 from its published files, optionally with ImageNetV2 as the split `heldout`.

    Args:
        source: folder of the official archives, of `train/` and `val/`, or of Kaggle's download.
        data_dir: folder of prepared data sets.
        metadata: wsoleval's `metadata/ILSVRC`, for its boxes of the validation images and ImageNetV2's lists.
        boxes: the validation boxes in any format of `box_lists`; None looks for them in the source.
        splits: `("val",)` for evaluation alone, without training images; None for all.
        heldout: the folder that contains ImageNetV2 as `val2/`, and the folder of wsoleval's lists.
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
        metadata: Path | None = None,
        boxes: Path | None = None,
        splits: Sequence[str] | None = None,
        heldout: tuple[Path, Path] | None = None,
        num_processes: int = 1,
        decode: bool = True,
        partial: bool = False,
    ):
        trains = splits is None or "train" in splits
        self._train = release.find_part(source, "train") if trains else None
        self._val = release.find_part(source, "val")
        self._boxes = boxes or (metadata / "test" if metadata else release.find_part(source, "boxes"))
        self._source, self._lists, self._heldout = source, metadata, heldout
        super().__init__(
            data_dir=data_dir,
            masks=False,
            checks=Checks(decode=decode, box_slack=None),  # published boxes are used as they are
            num_processes=num_processes,
            num_images=release.NUM_IMAGES,
            splits=splits,
            partial=partial,
            options=record_builder.describe_options(
                source=source, metadata=metadata, boxes=boxes, heldout=heldout, decode=decode
            ),
        )

    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        del dl_manager
        wnids, splits = list(synsets.all_wnids()), {}
        if self._train:
            files = archives.list_files(self._train, scratch=self._unfinished)
            wnids, splits["train"] = release.read_train(files)
        val = archives.list_files(self._val, scratch=self._unfinished)
        splits["val"], notes = release.read_val(val, self._boxes, wnids)
        manifest = records.Manifest(wnids, splits, notes)
        held_out.add_to(
            manifest,
            self._heldout,
            source=self._source,
            metadata=self._lists,
            published_classes=release.NUM_CLASSES,
            scratch=self._unfinished,
        )
        return manifest

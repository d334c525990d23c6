"""The base of the TFDS builders that read image files: find the items, write them, register the splits."""

import abc
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from lctr_jax.data import records, shards
from lctr_jax.data.checks import Checks


class RecordBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """A TFDS builder whose `_plan` lists every image; the images are written without TensorFlow.

    Args:
        data_dir: where prepared datasets are kept.
        masks: whether any record has a mask.
        checks: what is asked of every image.
        num_processes: how many processes write.
        num_images: how many images the splits must have, where that is known.
        read_mask: what a mask's bytes go through before they are kept.
    """

    def __init__(
        self,
        *,
        data_dir: str | Path,
        masks: bool,
        checks: Checks,
        num_processes: int = 1,
        num_images: Mapping[str, int] | None = None,
        read_mask: Callable[[bytes], bytes] = bytes,
    ):
        self._masks = masks
        self._num_images = num_images or {}
        self._writer = shards.Writer(checks=checks, read_mask=read_mask, num_processes=num_processes)
        super().__init__(data_dir=data_dir)

    @abc.abstractmethod
    def _plan(self, dl_manager: tfds.download.DownloadManager) -> records.Plan:
        """List the items of every split, downloading first where that is possible."""

    @property
    def _unfinished(self) -> Path:
        """Where shards, and decompressed archives, wait for the whole to be done; outlives a failure."""
        return Path(self.data_dir).parent / f"{self.version}.unfinished"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.features(masks=self._masks), metadata=tfds.core.MetadataDict()
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict:
        raise NotImplementedError  # asked for by the base's own writer alone, which is not used

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        """Write the plan's shards aside, then move them in; a second try keeps the finished ones."""
        del download_config
        plan = self._plan(dl_manager)
        records.check_plan(plan, self._num_images)
        info: Any = self.info
        info.features["label"].names = plan.class_names
        info.metadata.update(records.metadata(plan.splits))
        cut = {split: shards.cut(items) for split, items in plan.splits.items()}
        self._writer.write(
            [shard for split in cut.values() for shard in split],
            self._unfinished,
            features=info.features,
            title=f"preparing {self.name}",
        )
        info.set_splits(tfds.core.SplitDict([self._move(split, cut[split]) for split in cut]))
        shutil.rmtree(self._unfinished)

    def _move(self, split: str, cut: list[shards.Shard]) -> tfds.core.SplitInfo:
        """Give a split's shards the names that TFDS reads."""
        template = self._get_filename_template(split_name=split)
        paths = [
            Path(template.sharded_filepath(shard_index=index, num_shards=len(cut)))
            for index in range(len(cut))
        ]
        for shard, path in zip(cut, paths, strict=True):
            (self._unfinished / shard.name).replace(path)
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(shard.items) for shard in cut],
            num_bytes=sum(path.stat().st_size for path in paths),
            filename_template=template,
        )

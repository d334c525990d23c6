"""The base of the TFDS builders that read image files: find the items, write them, register the splits."""

import abc
import shutil
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from lctr_jax.data import records, shards
from lctr_jax.data.checks import Checks


class RecordBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """A TFDS builder whose `_plan` lists every image; the images are written without TensorFlow.

    Args:
        data_dir: where prepared datasets are kept.
        masks: whether every record has a mask.
        checks: what is asked of every image.
        num_processes: how many processes write.
    """

    def __init__(self, *, data_dir: str | Path, masks: bool, checks: Checks, num_processes: int = 1):
        self._masks = masks
        self._checks = checks
        self._num_processes = num_processes
        super().__init__(data_dir=data_dir)

    @abc.abstractmethod
    def _plan(self, dl_manager: tfds.download.DownloadManager) -> records.Plan:
        """List the items of every split, downloading first where that is possible."""

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
        info: Any = self.info
        info.features["label"].names = plan.class_names
        info.metadata.update(records.metadata(plan.splits))
        unfinished = Path(self.data_dir).parent / f"{self.version}.unfinished"
        cut = {split: shards.cut(items) for split, items in plan.splits.items()}
        shards.write(
            [shard for split in cut.values() for shard in split],
            unfinished,
            features=info.features,
            checks=self._checks,
            num_processes=self._num_processes,
            title=f"preparing {self.name}",
        )
        info.set_splits(tfds.core.SplitDict([self._move(split, cut[split], unfinished) for split in cut]))
        shutil.rmtree(unfinished)

    def _move(self, split: str, cut: list[shards.Shard], folder: Path) -> tfds.core.SplitInfo:
        """Give a split's shards the names that TFDS reads."""
        template = self._get_filename_template(split_name=split)
        paths = [
            Path(template.sharded_filepath(shard_index=index, num_shards=len(cut)))
            for index in range(len(cut))
        ]
        for shard, path in zip(cut, paths, strict=True):
            (folder / shard.name).replace(path)
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(shard.items) for shard in cut],
            num_bytes=sum(path.stat().st_size for path in paths),
            filename_template=template,
        )
